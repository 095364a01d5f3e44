"""Prove that archives are complete, or report each fault with file, offset and reason.

Role: each archive is checked by itself (`archive_check`), then against the archives before it, its ledger and its watermark (`chain`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from consumer.archive.checking.acknowledged import separate_acknowledged
from consumer.archive.checking.archive_check import check_archive
from consumer.archive.checking.chain import Chain
from consumer.archive.checking.fault_code import FaultCode
from consumer.archive.checking.verdict import Verdict
from consumer.archive.instances import find_instances
from consumer.archive.listing import is_folder, sorted_archives
from consumer.archive.location import Location
from consumer.archive.reading.reader import ArchiveFile, open_archive
from consumer.archive.reading.tombstones import Tombstones
from consumer.errors import DeedboxError

Mapped = Callable[[Callable[[Location], Verdict], Iterable[Location]], Iterator[Verdict]]


def verify(paths: Sequence[Location], mapped: Mapped = map) -> Iterator[Verdict]:
    """A verdict for each archive below the paths, in order of instance and sequence, and for each that is missing.

    Each directory is checked by itself. The files that were named themselves are checked together. `mapped` applies a function to
    each archive, in order: `map` itself, or a function that works ahead in other processes.
    """
    files = [path for path in paths if not is_folder(path)]
    directories = {
        path.resolve() if isinstance(path, Path) else path: path for path in reversed(paths) if is_folder(path)
    }  # each once: one archive is in one chain
    seen: set[tuple[int, int]] = set()
    for group in [*([path] for path in reversed(directories.values())), files]:
        yield from _verify_together(group, mapped, seen)


def _verify_together(paths: Sequence[Location], mapped: Mapped, seen: set[tuple[int, int]]) -> Iterator[Verdict]:
    # Read before the archives are listed, so that what an instance commits in the meantime does not count as missing.
    chain = Chain([one for path in paths if isinstance(path, Path) and path.is_dir() for one in find_instances(path)])
    for verdict in mapped(verify_archive, sorted_archives(paths)):
        if verdict.file in seen:
            continue  # it was sealed between listing and opening, and was listed under both names
        if verdict.file is not None:
            seen.add(verdict.file)
        chain.check(verdict)
        separate_acknowledged(verdict)
        yield verdict
    for verdict in chain.missing():
        separate_acknowledged(verdict)
        yield verdict


def verify_archive(path: Location) -> Verdict:
    """The verdict on one archive file, checked by itself."""
    try:
        with open_archive(path) as archive:
            verdict = check_archive(archive, Tombstones.of(archive))
            verdict.file = archive.file if isinstance(archive, ArchiveFile) else None
            return verdict
    except (OSError, DeedboxError) as error:
        verdict = Verdict(path)
        verdict.fault(FaultCode.UNREADABLE, 0, str(getattr(error, "strerror", None) or error))
        return verdict
