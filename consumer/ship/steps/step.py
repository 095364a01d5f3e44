"""The steps on seal as values, parsed from the setting `seal.steps`. Pure.

Invariants: `parse_steps` accepts only lists in which each step can run; a step is identified by its text, so that the record of what
was done stays valid when other steps are added or removed.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath

RESERVED = frozenset(
    ("open", "torn", "damaged", "compacting", "uncompacted", "moving", "new", "hold", "lock", "deleted", "acknowledged")
)  # the suffixes that Deedbox gives to other files beside an archive
_SUFFIX = re.compile(r"\.?([A-Za-z0-9_-]{1,32})")


class StepKind(StrEnum):
    """The kinds of steps. The values are the first words of the setting."""

    SHIP = "ship"
    MOVE = "move"
    LINK = "link"
    SUFFIX = "suffix"
    RUN = "run"
    DELETE = "delete"


TAKES_AWAY = frozenset((StepKind.MOVE, StepKind.SUFFIX, StepKind.DELETE))


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `text`: as configured, with single spaces. `argument`: the directory of move and link, or the suffix with its dot.

    `command`: the program of run and its arguments.
    """

    kind: StepKind
    text: str
    argument: str = ""
    command: tuple[str, ...] = ()

    @property
    def takes_away(self) -> bool:
        """Whether the archive has no longer its name in the archive directory after the step."""
        return self.kind in TAKES_AWAY


def parse_steps(texts: Sequence[str]) -> tuple[Step, ...]:
    """The steps of the setting. Raises ValueError, which names the step and says what is expected."""
    steps = tuple(map(_parse, texts))
    for number, step in enumerate(steps):
        if step.text in [other.text for other in steps[:number]]:
            raise ValueError(f"{step.text!r} is listed twice")
        if step.kind is StepKind.SHIP and any(other.takes_away for other in steps[:number]):
            raise ValueError("'ship' after a step that takes the archive away: put it before that step")
        if step.kind is StepKind.DELETE and number < len(steps) - 1:
            raise ValueError(f"{steps[number + 1].text!r} after 'delete': the archive does not exist any more")
    return steps


def _parse(text: str) -> Step:
    word, _, rest = text.strip().partition(" ")
    rest = rest.strip()
    if word not in list(StepKind):
        raise ValueError(f"{text!r}: expected one of {', '.join(StepKind)}")
    kind = StepKind(word)
    text = f"{word} {rest}".strip()
    if kind in (StepKind.SHIP, StepKind.DELETE):
        if rest:
            raise ValueError(f"{text!r}: {word} has no argument")
        return Step(kind, text)
    if not rest:
        raise ValueError(f"{text!r}: {_EXPECTED[kind]}")
    if kind is StepKind.RUN:
        return Step(kind, text, command=_command(text, rest))
    return Step(kind, text, _suffix(text, rest) if kind is StepKind.SUFFIX else _directory(text, rest))


_EXPECTED = {
    StepKind.MOVE: "expected move DIRECTORY",
    StepKind.LINK: "expected link DIRECTORY",
    StepKind.SUFFIX: "expected suffix .NAME",
    StepKind.RUN: "expected run PROGRAM ARGUMENTS",
}


def _command(text: str, rest: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(rest))
    except ValueError as error:
        raise ValueError(f"{text!r}: {str(error).lower()}") from error


def _suffix(text: str, rest: str) -> str:
    match = _SUFFIX.fullmatch(rest)
    if match is None:
        raise ValueError(f"{text!r}: expected a suffix of letters, digits, '_' and '-', at most 32, such as .done")
    if match[1].lower() in RESERVED:
        raise ValueError(f"{text!r}: Deedbox uses this suffix for its own files; choose another one, such as .done")
    return f".{match[1]}"


def _directory(text: str, rest: str) -> str:
    if "\0" in rest or not PurePath(rest).is_absolute():
        raise ValueError(f"{text!r}: expected the absolute path of a directory")
    return rest
