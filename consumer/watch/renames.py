"""What renames say about files: which names hold a file that had the watched name before, and which names a rotation gives.

Pure: no file is opened here. A name proves nothing by itself: `app-error.log` is no older `app.log`.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

COMPRESSED = (".gz", ".xz", ".zst", ".bz2", ".lz4", ".lzma", ".lzo", ".br", ".zip", ".Z", ".z")


_NUMBER = "[0-9]{1,4}"
# Years first, with or without a day; days and months first; seconds since 1970. Then a time, a number, or nothing.
_DATE = (
    r"[._-]{1,2}(20[0-9]{2}[._-]?[0-9]{2}[._-]?[0-9]{2}|20[0-9]{2}[._-][0-9]{2}|[0-9]{2}[._-][0-9]{2}[._-]20[0-9]{2}|[0-9]{10})"
    r"[0-9._:TZ-]*"
)


class Rename(NamedTuple):
    """A rename that was seen. No source, no target: the file came from, or went to, a directory that is not watched, or was removed."""

    source: Path | None
    target: Path | None


class RenameHistory:
    """The names of files that had the watched name, the oldest first.

    A name is kept until a look has opened its file and the next look has learnt of no rename of it meanwhile: between the
    renames that were seen and the opening, another rotation may have given the name to another file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: set[Path] = set()
        self.former: list[Path] = []

    def note(self, changes: Sequence[Rename]) -> None:
        """Follow renames, in their order. Afterwards `former` names the files that have to be opened."""
        touched = {name for change in changes for name in change}
        self.former = [name for name in self.former if name in touched or name not in self._opened]
        self._opened.clear()
        for source, target in changes:
            if target in self.former:
                self.former.remove(target)  # replaced: its file is gone
            if source == self._path and target is not None:
                self.former.append(target)
            elif source in self.former:
                place = self.former.index(source)
                self.former[place : place + 1] = [] if target is None else [target]

    def opened(self, name: Path) -> None:
        """The file that has this name was opened."""
        self._opened.add(name)


def is_compressed(name: str) -> bool:
    """Whether the file was packed: its bytes are no lines."""
    return name.endswith(COMPRESSED)


def inserted(name: str, rotated: str) -> tuple[str, str] | None:
    """What a rotation has put after `name` or before its suffix, and the suffix; None if `rotated` is no such name.

    `app.log`, `app.log.1`: (`.1`, ``). `app.log`, `app-20261121.log`: (`-20261121`, `.log`).
    """
    stem, suffix = PurePath(name).stem, PurePath(name).suffix
    if rotated.startswith(name):
        part, suffix = rotated[len(name) :], ""
    elif rotated.startswith(stem) and rotated.endswith(suffix) and len(rotated) > len(name):
        part = rotated[len(stem) : len(rotated) - len(suffix)]
    else:
        return None
    return (part, suffix) if re.match(r"[._-][0-9]" if suffix else r"[._~-]", part) else None


def successors(name: str, rotated: str, others: Iterable[str]) -> list[str]:
    """Those of `others` that the same rotation names: equal to `rotated` but for the numbers that it put in."""
    found = inserted(name, rotated)
    if found is None or not re.search("[0-9]", found[0]):
        return []
    part, suffix = found
    numbers = re.escape(rotated[: len(rotated) - len(part) - len(suffix)]) + "[0-9]+".join(
        re.escape(text) for text in re.split("[0-9]+", part)
    )
    pattern = re.compile(numbers + re.escape(suffix))
    return [other for other in others if other != rotated and pattern.fullmatch(other)]


def is_rotated(name: str, other: str) -> bool:
    """Whether only a rotation of `name` can have given this name: a number or a date after it, or a date before its suffix.

    `app.log`: `app.log.1`, `app.log-20261121.2`, `app.log.2026-11-21_10`, `app-20261121.log`, `app.log.old`. Not `app-2.log`,
    which may be the log of another program, nor `app-123456.log`, which may be that of another process.
    """
    stem, suffix = re.escape(PurePath(name).stem), re.escape(PurePath(name).suffix)
    pattern = rf"{re.escape(name)}(\.{_NUMBER}|{_DATE}|\.old)|{stem}{_DATE}{suffix}(\.{_NUMBER})?"
    return re.fullmatch(pattern, other) is not None


def is_numbered(name: str, other: str) -> bool:
    """Whether a rotation may have given this name, or somebody else: `app.1.log` and `app-1.log` of `app.log`."""
    stem, suffix = re.escape(PurePath(name).stem), re.escape(PurePath(name).suffix)
    return re.fullmatch(rf"{stem}[._-]{_NUMBER}{suffix}", other) is not None
