"""Shelves and events for tests of the durable path."""

from pathlib import Path

from codec.event import Event
from consumer.archive.layout import Layout
from consumer.archive.ledger import Ledger
from consumer.archive.writing.archive_log import ArchiveLog, ArchiveLogSettings
from consumer.archive.writing.rolling import RollPolicy
from consumer.disk.durable import Disk

START_US = 1_763_741_700_000_000


def event(serial: int, size: int = 20) -> Event:
    body = b'{"serial":%d,"text":"%b"}' % (serial, b"x" * size)
    return Event(
        f"id-{serial}", f"type.{serial % 3}", START_US + serial, START_US + serial, "exchange", "key", b"\0\0", body
    )


def some(first: int, count: int) -> list[Event]:
    return [event(serial) for serial in range(first, first + count)]


def forget(directory: Path, instance: str = "one") -> None:
    """Remove the files that a power cut may remove: the watermark, and the ledger of a run that had not recorded its first commit.

    Without them the last batches of an open archive may never have been committed.
    """
    for suffix in (".committed", ".ledger"):
        (directory / f"{instance}{suffix}").unlink()


def archive_log(directory: Path, disk: Disk | None = None, instance: str = "one", **policy: float) -> ArchiveLog:
    directory.mkdir(exist_ok=True)
    disk = disk or Disk()
    settings = ArchiveLogSettings(instance, Layout(directory), RollPolicy(**policy), window=100)
    return ArchiveLog(disk, settings, Ledger(disk, directory, instance))
