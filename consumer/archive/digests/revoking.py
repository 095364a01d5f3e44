"""Revoke what digests record as retired at a destination, and what is there nevertheless.

Role: policy records a removal before it removes; a hold, a crash or other limits may keep the archive then. Invariant: a loss after that is
not explained by the old record, because a later digest lists the archive again. The facts are those of the older listing, so that the
archive itself need not be in the directory.
"""

from collections.abc import Collection
from pathlib import Path

from consumer.archive.digests.making import ChainWriter
from consumer.archive.digests.signing import SigningKey
from consumer.archive.naming import ArchiveId
from consumer.disk.durable import Disk


def revoke(
    disk: Disk, directory: Path, places: Collection[tuple[ArchiveId, str]], now_us: int, interval_us: int, key: SigningKey | None = None
) -> list[Path]:  # fmt: skip
    """Record that archives are at these places, although digests record their removal. Returns the digests that were made.

    What no digest records is left out. Raises DigestsHeld, DeedboxError and OSError.
    """
    made: list[Path] = []
    for instance in sorted({archive.instance for archive, _ in places}):
        own = {(archive.sequence, where) for archive, where in places if archive.instance == instance}
        chain = ChainWriter(disk, directory, instance, {}, now_us, interval_us, key, ())
        while found := chain.append_again(own):
            made += found
    return made
