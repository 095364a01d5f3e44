"""Remove an archive from a place: first the archive, then the files beside it.

Invariants: just before the removal, everything that may keep the archive is checked once more, under the lock that `delete` and `compact`
use. Files beside an archive whose archive is gone are left by a crash, and removed by the next run.
"""

from pathlib import Path

from codec.digest import LOCAL
from consumer.archive import naming
from consumer.archive.naming import ArchiveId
from consumer.disk.durable import Disk
from consumer.objects.errors import ObjectError
from consumer.ship.retention.check import Check, Retired
from consumer.ship.retention.local import Directory
from consumer.ship.retention.places import Place
from consumer.ship.retention.policy import Candidate, Stay
from consumer.ship.side_files import SUFFIXES, remove_side_files
from consumer.ship.steps.placing import deletions_locked
from consumer.ship.steps.progress import forget


def remove_local(disk: Disk, check: Check, candidate: Candidate) -> tuple[Stay, ...]:
    """Remove an archive from the archive directory. Returns why it stays nevertheless. Raises OSError, and DeedboxError as `Check.local` does."""
    archive = candidate.archive
    paths = check.directory.archives[archive].paths
    earlier = check.findings[LOCAL, candidate.name]
    try:
        with deletions_locked(disk, paths[0], archive):
            now = check.local(candidate, again=True)
            if now.stays or now.sha256 != earlier.sha256:
                return now.stays or (Stay("has changed meanwhile"),)
            for path in paths:
                disk.remove(path)
    except FileNotFoundError:
        return (Stay("is gone: another process removed it"),)
    remove_beside(disk, check.directory.root, paths[0], archive)
    del check.directory.archives[archive]
    return ()


def remove_beside(disk: Disk, root: Path, path: Path, archive: ArchiveId) -> None:
    """As `remove_side_files`, and what the steps on seal have noted. Raises OSError."""
    if remove_side_files(disk, root, path, archive):
        forget(disk, root, archive)


def remove_leftovers(disk: Disk, directory: Directory, retired: Retired) -> None:
    """Remove the files beside archives that were removed by a run which was then killed. Raises OSError."""
    for path in directory.root.rglob("*"):
        suffix = next((one for one in SUFFIXES if path.name.endswith(one)), None)
        archive = suffix and naming.parse_open(Path(path.name.removesuffix(suffix) + naming.OPEN_SUFFIX))
        if archive and archive not in directory.archives and (archive, LOCAL) in retired:
            remove_beside(disk, directory.root, path, archive)


def remove_object(check: Check, place: Place, candidate: Candidate) -> tuple[Stay, ...]:
    """Remove an archive from a destination. Returns why it stays nevertheless. Raises as `Check.remote` does."""
    earlier = check.findings[str(place), candidate.name]
    now = check.remote(place, candidate, again=True)
    if now.stays or now.sha256 != earlier.sha256:
        return now.stays or (Stay("has changed meanwhile"),)
    folder = candidate.name.rpartition("/")[0]
    beside = [f"{candidate.archive}{suffix}" for suffix in SUFFIXES]
    try:
        for name in [candidate.name, *(f"{folder}/{name}" if folder else name for name in beside)]:
            place.store.delete(place.url / name)
            place.objects.pop(name, None)
    except ObjectError as error:
        place.fault = str(error)
        return (Stay(f"{place} does not answer: {error}"),)
    return ()
