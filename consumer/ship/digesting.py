"""Makes the digests of a directory while it is shipped. A failure is reported, and does not keep archives from being shipped.

Invariant: digests that the directory has lost and a destination has are copied back before a new one is made, so that no number is used
twice. A chain without any digest in the directory waits until every destination has answered.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from consumer.archive.digests.making import make_due
from consumer.archive.digests.restore import restore
from consumer.archive.digests.signing import SigningKey, load_key
from consumer.disk.durable import Disk
from consumer.errors import DeedboxError
from consumer.objects.url import ObjectUrl
from consumer.ship.report import Report
from consumer.ship.settings import ShipSection

LOOK_S = 60.0  # between two looks: each one walks the directory


class Digesting:
    """Call it often. Raises Fatal at once if the key of the settings cannot be used."""

    def __init__(
        self, directory: Path, settings: ShipSection, report: Report, destinations: Sequence[ObjectUrl] = ()
    ) -> None:
        self._directory, self._report = directory, report
        self._interval_us = round(settings.digest_s * 1e6)
        self._key: SigningKey | None = load_key(Path(settings.sign_key)) if settings.sign_key else None
        self._disk = Disk()
        self._destinations = destinations
        self._to_ask = list(destinations)  # whether they have digests that the directory has lost
        self._next_look = float("-inf")

    def __call__(self) -> None:
        """Make what is due."""
        if not self._interval_us or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + min(LOOK_S, self._interval_us / 1e6)
        try:
            self._restore()
            now_us = time.time_ns() // 1000
            make_due(self._disk, self._directory, now_us, self._interval_us, self._key, self._destinations)
        except DeedboxError as error:
            self._report.digests_failed(str(self._directory), str(error))
        except OSError as error:
            self._report.digests_failed(str(error.filename or self._directory), error.strerror or str(error))

    def _restore(self) -> None:
        """Ask the destinations that have not answered yet."""
        for url in list(self._to_ask):
            with suppress(OSError):  # it is asked again
                restore(self._disk, self._directory, [url])
                self._to_ask.remove(url)
