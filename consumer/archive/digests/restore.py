"""Copy digests that an archive directory has lost back from a destination, so that the chain goes on where it ended.

Invariants: an existing digest is never replaced; only bytes that are a digest of this instance and number are copied. A chain that is lost
as a whole comes back with its newest digest first: after a crash the next digest has a number that no destination holds.
"""

from collections.abc import Sequence
from pathlib import Path

from codec.digest import decode_digest
from codec.errors import CodecError
from consumer.archive.digests import files
from consumer.archive.digests.chain import find_digests
from consumer.archive.digests.history import History
from consumer.archive.location import Location
from consumer.disk.durable import Disk, held
from consumer.errors import DeedboxError


def restore(disk: Disk, directory: Path, destinations: Sequence[Location]) -> list[Path]:
    """Copy the digests that are missing in the chains of the directory. Returns the copies. Raises OSError.

    A chain without any digest here stays so: `history_of` brings it back, when all destinations answer.
    """
    own = {instance for instance in files.instances(directory) if files.numbered(directory, instance)}
    made: list[Path] = []
    for destination in destinations:
        for instance, number, location in find_digests(destination, deep=False):
            path = files.folder(directory, instance) / files.digest_name(number)
            if instance in own and not path.exists() and _copy(disk, path, instance, number, location):
                made.append(path)
    return made


def history_of(disk: Disk, directory: Path, instance: str, destinations: Sequence[Location]) -> History:
    """The chain of an instance. If the directory has no digest of it, those of the destinations are copied back before.

    Raises DeedboxError if a destination does not answer, or if its newest digest cannot be used: a second chain would never be shipped.
    Raises as `History.read` does.
    """
    if destinations and not files.numbered(directory, instance):
        _restore_chain(disk, directory, instance, destinations)
    return History.read(directory, instance)


def _restore_chain(disk: Disk, directory: Path, instance: str, destinations: Sequence[Location]) -> None:
    found: dict[int, list[Location]] = {}
    for destination in destinations:
        for number, location in _asked(directory, instance, destination):
            found.setdefault(number, []).append(location)
    newest = max(found, default=0)
    for number in sorted(found, reverse=True):
        path = files.folder(directory, instance) / files.digest_name(number)
        is_here = any(_copy(disk, path, instance, number, location) for location in found[number]) or path.exists()
        if number == newest and not is_here:
            what = f"{directory} has no digest of {instance}, and the newest one of the destinations cannot be copied back: {found[number][0]}"
            do = "try again; if it lasts, see `deedbox verify` of the destination: put a whole digest there, or move it away"
            raise DeedboxError(what, do)


def _asked(directory: Path, instance: str, destination: Location) -> list[tuple[int, Location]]:
    """The digests of an instance at a destination. Raises DeedboxError if it does not answer."""
    try:
        return [
            (number, location) for one, number, location in find_digests(destination, deep=False) if one == instance
        ]
    except OSError as error:
        what = f"{directory} has no digest of {instance}, and {destination} may have some, but cannot be asked: {error}"
        do = "make the destination answer, or take it out of ship.destinations if it is gone for good"
        raise DeedboxError(what, do) from error


def _copy(disk: Disk, path: Path, instance: str, number: int, location: Location) -> bool:
    """Copy one digest, unless another process appends to the chain now, or the bytes are no such digest."""
    raw = files.read_raw(location)
    try:
        digest = decode_digest(raw).digest
    except CodecError:
        return False  # `verify` reports it at the destination
    if (digest.instance, digest.number) != (instance, number):
        return False
    disk.make_directory(path.parent.absolute())
    with held(disk, path.parent / files.LOCK) as free:
        if not free or path.exists():
            return False
        disk.replace(path, raw)
    return True
