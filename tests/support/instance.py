"""An instance over a directory, as a process that may be killed: its disk, its lock and its archive log."""

import asyncio
from pathlib import Path

from consumer.archive.layout import Layout
from consumer.archive.writing.archive_log import ArchiveLog, ArchiveLogSettings
from consumer.archive.writing.instance_lock import InstanceLock
from consumer.archive.writing.rolling import RollPolicy
from tests.support.disk import Durable, ShadowDisk


class Instance:
    """A process. `start` raises the errors that the service would raise; a process that did not start must be killed."""

    def __init__(self, name: str, durable: Durable, events_max: int) -> None:
        self.name = name
        self.disk = ShadowDisk(durable.root, durable=durable)
        self._policy = RollPolicy(events_max=events_max)
        self._layout = Layout(durable.root)

    def start(self) -> None:
        """Take the lock, recover, and make the archive log, in the order of the service."""
        self.lock = asyncio.run(InstanceLock.acquire(self.disk, self._layout, self.name))
        settings = ArchiveLogSettings(self.name, self._layout, self._policy, window=100)
        self.log = ArchiveLog(self.disk, settings, self.lock.ledger, guard=self.lock.check)
        for path in self.lock.deferred:
            self.log.adopt(path)

    def stop(self) -> None:
        """End as the service does."""
        self.log.roll("stop")
        self.lock.end(consumed=True)
        self.lock.release()

    def kill(self) -> None:
        """The kernel closes the descriptors of the process."""
        self.disk.end_process()

    @property
    def open_path(self) -> Path | None:
        """The archive that the instance writes."""
        return self.log.writer.path if self.log.writer else None
