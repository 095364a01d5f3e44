"""Renames and the names of rotated files: which files had the watched name before, and which names a rotation gives.

Pure: no file is opened here. A name alone proves nothing: `app-error.log` is not an older `app.log`.
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
    """A rename that a backend reported.

    `source` is None if the file came from a directory that is not watched; `target` is None if it went to one, or was removed.
    """

    source: Path | None
    target: Path | None


class RenameHistory:
    """The present names of the files that had the watched name before, the oldest first, in `former`.

    A name is kept until its file was opened and no rename of it was reported at the next check: between the reported renames
    and the opening, another rotation may have given the name to another file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: set[Path] = set()
        self.former: list[Path] = []

    def note(self, renames: Sequence[Rename]) -> None:
        """Apply renames in their order. After that, `former` has the names of the files that must be opened."""
        touched = {name for rename in renames for name in rename}
        self.former = [name for name in self.former if name in touched or name not in self._opened]
        self._opened.clear()
        for source, target in renames:
            if target in self.former:
                self.former.remove(target)  # its file was replaced
            if source == self._path and target is not None:
                self.former.append(target)
            elif source in self.former:
                place = self.former.index(source)
                self.former[place : place + 1] = [] if target is None else [target]

    def opened(self, name: Path) -> None:
        """Note that the file with this name was opened."""
        self._opened.add(name)


def is_compressed(name: str) -> bool:
    """Whether the name is that of a compressed file."""
    return name.endswith(COMPRESSED)


def inserted_part(name: str, rotated: str) -> tuple[str, str] | None:
    """The part that a rotation inserted after `name` or before its suffix, and the suffix; None if `rotated` is not such a name.

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


def same_pattern(name: str, rotated: str, others: Iterable[str]) -> list[str]:
    """The names in `others` that the same rotation gives: equal to `rotated` except for the numbers in the inserted part."""
    found = inserted_part(name, rotated)
    if found is None or not re.search("[0-9]", found[0]):
        return []
    part, suffix = found
    numbers = re.escape(rotated[: len(rotated) - len(part) - len(suffix)]) + "[0-9]+".join(
        re.escape(text) for text in re.split("[0-9]+", part)
    )
    pattern = re.compile(numbers + re.escape(suffix))
    return [other for other in others if other != rotated and pattern.fullmatch(other)]


def is_rotated(name: str, other: str) -> bool:
    """Whether only a rotation of `name` gives this name: a number or a date after it, or a date before its suffix.

    `app.log`: `app.log.1`, `app.log-20261121.2`, `app.log.2026-11-21_10`, `app-20261121.log`, `app.log.old`. Not `app-2.log`,
    which may be the log of another program, and not `app-123456.log`, which may be the log of another process.
    """
    stem, suffix = re.escape(PurePath(name).stem), re.escape(PurePath(name).suffix)
    pattern = rf"{re.escape(name)}(\.{_NUMBER}|{_DATE}|\.old)|{stem}{_DATE}{suffix}(\.{_NUMBER})?"
    return re.fullmatch(pattern, other) is not None


def is_numbered(name: str, other: str) -> bool:
    """Whether a rotation may give this name, but another program may too: `app.1.log` and `app-1.log` of `app.log`."""
    stem, suffix = re.escape(PurePath(name).stem), re.escape(PurePath(name).suffix)
    return re.fullmatch(rf"{stem}[._-]{_NUMBER}{suffix}", other) is not None
