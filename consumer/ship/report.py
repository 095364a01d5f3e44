"""What shipping reports: to the log, or to a program that prints it."""

from typing import Protocol

from consumer import log
from consumer.ship import log_events


class Report(Protocol):
    """Called by the threads of all destinations. `destination`: its URL. `name`: the path of the file below the archive directory."""

    def shipped(self, destination: str, name: str, size: int, seconds: float) -> None:
        """A file was uploaded and verified."""

    def advance(self, size: int) -> None:
        """Count bytes that were given to the storage, or found there."""

    def failed(self, destination: str, name: str, reason: str, retry_s: float) -> None:
        """A file could not be shipped now."""

    def refused(self, destination: str, name: str, reason: str) -> None:
        """A file is not shipped until somebody acts."""

    def held(self, destination: str, name: str, reason: str) -> None:
        """A digest is not shipped, because an archive that it lists is lost."""

    def defect(self, destination: str, name: str, error: str, retry_s: float) -> None:
        """An unexpected exception: its type and place. `name`: empty if it is not the failure of one file."""

    def missing(self, destination: str, name: str, reason: str) -> None:
        """An object that was verified was removed or replaced."""

    def down(self, destination: str, reason: str, retry_s: float) -> None:
        """A destination does not work."""

    def works(self, destination: str) -> None:
        """A destination works again."""

    def digests_failed(self, path: str, reason: str) -> None:
        """No digest could be made."""


class LogReport:
    """Each report as a log event."""

    def shipped(self, destination: str, name: str, size: int, seconds: float) -> None:
        """As `Report.shipped`."""
        log.emit(log_events.ARCHIVE_SHIPPED, file=name, destination=destination, bytes=size, seconds=round(seconds, 3))

    def advance(self, size: int) -> None:
        """Nothing: the log has a line for each file."""

    def failed(self, destination: str, name: str, reason: str, retry_s: float) -> None:
        """As `Report.failed`."""
        log.emit(log_events.SHIP_FAILED, file=name, destination=destination, reason=reason, retry_s=retry_s)

    def refused(self, destination: str, name: str, reason: str) -> None:
        """As `Report.refused`."""
        log.emit(log_events.SHIP_REFUSED, file=name, destination=destination, reason=reason)

    def held(self, destination: str, name: str, reason: str) -> None:
        """As `Report.held`."""
        log.emit(log_events.DIGEST_HELD, file=name, destination=destination, reason=reason)

    def defect(self, destination: str, name: str, error: str, retry_s: float) -> None:
        """As `Report.defect`."""
        log.emit(log_events.SHIP_DEFECT, file=name, destination=destination, error=error, retry_s=retry_s)

    def missing(self, destination: str, name: str, reason: str) -> None:
        """As `Report.missing`."""
        log.emit(log_events.OBJECT_MISSING, file=name, destination=destination, reason=reason)

    def down(self, destination: str, reason: str, retry_s: float) -> None:
        """As `Report.down`."""
        log.emit(log_events.DESTINATION_FAILED, destination=destination, reason=reason, retry_s=retry_s)

    def works(self, destination: str) -> None:
        """As `Report.works`."""
        log.emit(log_events.DESTINATION_WORKS, destination=destination)

    def digests_failed(self, path: str, reason: str) -> None:
        """As `Report.digests_failed`."""
        log.emit(log_events.DIGESTS_FAILED, path=path, reason=reason)
