"""Copy digests that an archive directory has lost back from a destination, so that the chain goes on where it ended.

Invariants: an existing digest is never replaced; only bytes that are a digest of this instance and number are copied.
"""

from collections.abc import Sequence
from pathlib import Path

from codec.digest import decode_digest
from codec.errors import CodecError
from consumer.archive.digests import files
from consumer.archive.digests.chain import find_digests
from consumer.archive.listing import find_archives, id_of
from consumer.archive.location import Location
from consumer.disk.durable import Disk, held


def restore(disk: Disk, directory: Path, destinations: Sequence[Location]) -> list[Path]:
    """Copy the digests that are missing in the directory. Returns the copies.

    Only instances that have archives, a ledger or digests in the directory are restored. Raises OSError.
    """
    own = {path.stem for path in directory.glob("*.ledger")} | set(files.instances(directory))
    own |= {archive.instance for path in find_archives([directory]) if (archive := id_of(path))}
    made: list[Path] = []
    for destination in destinations:
        for instance, number, location in find_digests(destination, deep=False):
            path = files.folder(directory, instance) / files.digest_name(number)
            if instance in own and not path.exists() and _copy(disk, path, instance, number, location):
                made.append(path)
    return made


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
