"""Which archives are in a directory, in order of instance and sequence. Names only; nothing is opened."""

import os
from collections.abc import Iterator
from pathlib import Path

from consumer.archive import naming


def find_archives(paths: list[Path]) -> list[Path]:
    """Archives below the paths, in order of instance and sequence; files that were named themselves are kept as they are."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = list(_below(path))
            found += sorted((p for p in inside if _is_archive(p)), key=_order)
            found += [p for p in inside if not _is_archive(p)]
        else:
            found.append(path)
    return found


def _below(directory: Path) -> Iterator[Path]:
    """Archives in a directory and those inside of it; and directories that cannot be read, for whoever opens them to say so."""
    unread: list[Path] = []
    for place, _, names in os.walk(directory, onerror=lambda error: unread.append(Path(str(error.filename)))):
        yield from (path for name in names if _is_archive(path := Path(place, name)) and path.is_file())
    yield from unread


def _is_archive(path: Path) -> bool:
    return (naming.parse_sealed(path) or naming.parse_open(path)) is not None


def _order(path: Path) -> tuple[naming.ArchiveId, Path]:
    archive = naming.parse_sealed(path) or naming.parse_open(path)
    assert archive is not None, "only archives are sorted"
    return archive, path  # copies have the same id, and file systems list in any order
