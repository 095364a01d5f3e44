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
from consumer.objects.stores import store_of


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


def catch_up(disk: Disk, directory: Path, instance: str, destinations: Sequence[Location]) -> None:
    """Copy the digests back that destinations have after the newest one of the directory, which lost them in a power cut, for example.

    A destination that does not answer is left out: a long outage must not stop the chain, which is whole in nearly all cases. Call it before
    a digest is made. Raises DeedboxError if a later digest is there and cannot be copied back.
    """
    last = files.newest(directory, instance)
    while last is not None:
        name = files.digest_name(last.digest.number + 1)
        path = files.folder(directory, instance) / name
        there = (one / files.FOLDER / instance / name for one in destinations)
        if (found := next((location for location in there if _is_there(location)), None)) is None or path.exists():
            return
        if not _copy(disk, path, instance, last.digest.number + 1, found, last.sha256) and not path.exists():
            what = f"{directory} ends with digest {last.digest.number} of {instance}, and {found} cannot be copied back"
            raise DeedboxError(what, "try again; if it lasts, compare both with `deedbox verify`")
        last = files.newest(directory, instance)


def _is_there(location: Location) -> bool:
    """Whether a destination has a digest; no, if it does not answer."""
    try:
        return location.exists() if isinstance(location, Path) else store_of(location).head(location) is not None
    except OSError:
        return False


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


def _copy(disk: Disk, path: Path, instance: str, number: int, location: Location, previous: str | None = None) -> bool:
    """Copy one digest, unless another process appends to the chain now, or the bytes are no such digest. `previous`: what it must follow."""
    raw = files.read_raw(location)
    try:
        digest = decode_digest(raw).digest
    except CodecError:
        return False  # `verify` reports it at the destination
    if (digest.instance, digest.number) != (instance, number) or previous not in (None, digest.previous):
        return False
    disk.make_directory(path.parent.absolute())
    with held(disk, path.parent / files.LOCK) as free:
        if not free or path.exists():
            return False
        disk.replace(path, raw)
    return True
