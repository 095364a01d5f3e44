"""Record in the chain of digests that archives are about to be removed, with the settings of shipping."""

import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from consumer.archive.digests import files
from consumer.archive.digests.making import Retirement, retire
from consumer.archive.digests.revoking import revoke
from consumer.archive.digests.signing import SigningKey, load_key
from consumer.archive.naming import ArchiveId
from consumer.disk.durable import Disk
from consumer.errors import DeedboxError
from consumer.objects.url import ObjectUrl
from consumer.ship.settings import ShipSection

Record = Callable[[Sequence[Retirement]], object]
Revoke = Callable[[Collection[tuple[ArchiveId, str]]], object]


def recorder(disk: Disk, root: Path, settings: ShipSection, urls: Sequence[ObjectUrl]) -> Record:
    """A function that appends entries to the chain of a directory, durably. `urls`: the destinations, which may hold
    a chain that the directory has lost. Raises Fatal if the key of the settings cannot be used."""
    key = load_key(Path(settings.sign_key)) if settings.sign_key else None
    interval_us = round(settings.digest_s * 1e6)

    def record(entries: Sequence[Retirement]) -> object:
        _check_key(root, {one.archive.instance for one in entries}, key)
        return retire(disk, root, entries, time.time_ns() // 1000, interval_us, key, urls)

    return record


def revoker(disk: Disk, root: Path, settings: ShipSection) -> Revoke:
    """A function that records that archives are still at places, see `revoke`. Raises Fatal if the key of the settings cannot be used."""
    key = load_key(Path(settings.sign_key)) if settings.sign_key else None
    interval_us = round(settings.digest_s * 1e6)

    def record(places: Collection[tuple[ArchiveId, str]]) -> object:
        _check_key(root, {archive.instance for archive, _ in places}, key)
        return revoke(disk, root, places, time.time_ns() // 1000, interval_us, key)

    return record


def _check_key(root: Path, instances: Collection[str], key: SigningKey | None) -> None:
    """Raises DeedboxError if a chain is signed, and there is no key to sign the next digest with."""
    for instance in instances:
        newest = files.newest(root, instance)
        if key is None and newest is not None and newest.signature:
            what = f"{root}: the digests of {instance} are signed, and this process has no key to sign the next one"
            raise DeedboxError(what, "name the key in ship.sign_key")
