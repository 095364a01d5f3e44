"""The settings in force as a commented TOML file.

Invariants: the file is valid for `--config` and gives the same settings; a password is never shown.
"""

import inspect
import textwrap
from collections.abc import Iterator
from datetime import date, time

import msgspec
from yarl import URL

from consumer.config.quantities import format_quantity
from consumer.config.sections import SECTIONS, SETTINGS, Setting, Settings

COLUMNS = 100  # of a comment

_HIDDEN = {
    "broker.url": "The password of the URL is not shown. Set it with broker.password_file.",
    "broker.password": "The password is not shown. Set it with broker.password_file.",
    "replay.url": "The password of the URL is not shown. Set it with replay.password_file.",
    "replay.password": "The password is not shown. Set it with replay.password_file.",
    "objects.secret_key": "The key is not shown. Set it with objects.secret_key_file.",
}


def render(settings: Settings) -> str:
    """The TOML file. A value that TOML cannot hold is a comment."""
    lines = ["# The settings of Deedbox that are in force. A valid file for --config."]
    for section, kind in SECTIONS.items():
        lines += ["", *_comment(inspect.getdoc(kind) or ""), f"[{section}]"]
        for setting in SETTINGS.values():
            if setting.section == section:
                lines += ["", *_entry(setting, setting.value_in(settings), setting.value_in(Settings()))]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, COLUMNS, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _entry(setting: Setting, value: object, default: object) -> Iterator[str]:
    """The description, the default if another value is in force, and the assignment."""
    yield from _comment(setting.description)
    if value != default:
        yield f"# Default: {_shown(setting, default)}"
        public = _without_password(setting, value)
        if public != value:
            yield f"# {_HIDDEN[setting.key]}"
            value = public
    try:
        yield f"{setting.name} = {_shown(setting, value)}"
    except ValueError as error:
        yield f"# {setting.name}: the value in force cannot be written as TOML ({error})"


def _without_password(setting: Setting, value: object) -> object:
    if setting.key in ("broker.password", "replay.password", "objects.secret_key"):
        return ""
    if setting.key not in ("broker.url", "replay.url") or not value:
        return value
    url = URL(str(value))
    secret = [name for name in url.query if "pass" in name.lower()]
    return str(url.with_password(None).without_query_params(*secret)) if url.password is not None or secret else value


def _shown(setting: Setting, value: object) -> str:
    quantity = format_quantity(value, setting.unit) if setting.unit and isinstance(value, int | float) else None
    return as_toml(value if quantity is None else quantity)


def as_toml(value: object) -> str:
    """A value as text of TOML. Raises ValueError if TOML cannot hold it: null, and text that is not Unicode."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_toml(name)} = {as_toml(member)}" for name, member in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)  # also `inf` and `nan`
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, str):
        try:
            return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
        except UnicodeEncodeError as error:
            raise ValueError("text that is not UTF-8") from error
    raise ValueError("null" if value is None else type(value).__name__)
