"""Text from outside, such as arguments and paths, as errors, reports and the log of a terminal show it. Pure."""

import re

_NAME = re.compile(r"[\w.-]*")


def escaped(text: object) -> str:
    r"""Text in one line that cannot control a terminal. Characters that are not printable are shown as `\n`, `\x1b`, `\u202e`."""
    line = str(text)
    if line.isprintable():
        return line
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in line
    )


def without_value(text: str) -> str:
    """The beginning of an argument that can be a name. The rest may be a password, and must not be in an error."""
    name = _NAME.match(text)
    return text if name is None or name.end() == len(text) else f"{name[0]}…"
