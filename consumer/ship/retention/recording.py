"""Record in the chain of digests that archives are about to be removed, with the settings of shipping."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from consumer.archive.digests.making import Retirement, retire
from consumer.archive.digests.signing import load_key
from consumer.disk.durable import Disk
from consumer.objects.url import ObjectUrl
from consumer.ship.settings import ShipSection

Record = Callable[[Sequence[Retirement]], object]


def recorder(disk: Disk, root: Path, settings: ShipSection, urls: Sequence[ObjectUrl]) -> Record:
    """A function that appends entries to the chain of a directory, durably. `urls`: the destinations, which may hold
    a chain that the directory has lost. Raises Fatal if the key of the settings cannot be used."""
    key = load_key(Path(settings.sign_key)) if settings.sign_key else None
    interval_us = round(settings.digest_s * 1e6)

    def record(entries: Sequence[Retirement]) -> object:
        return retire(disk, root, entries, time.time_ns() // 1000, interval_us, key, urls)

    return record
