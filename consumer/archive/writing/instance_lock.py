"""Acquire an instance: create its directory, lock it, recover the archives of earlier runs, note this run in the ledger.

Invariants: while the lock is held, no other process writes, recovers or numbers archives of the instance. A disk that is
full or failing does not prevent the lock: archives that cannot be recovered now are listed in `deferred`.
"""

import asyncio
import errno
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from consumer import log
from consumer.archive import log_events, naming
from consumer.archive.layout import Layout
from consumer.archive.ledger import Ledger
from consumer.archive.location import local_only
from consumer.archive.writing import orphans
from consumer.archive.writing.finding import Outcome, log_finding
from consumer.disk.durable import PURPOSE_BYTES, Disk, read_regular
from consumer.disk.filesystem import unsupported
from consumer.errors import Exit, Fatal

LOCK_S_MAX = 5.0  # seconds; the process before this one may be ending


class InstanceLock:
    """The lock of an instance, held by this process. `unclean`: how many runs in a row ended without a stop and without a commit.

    `unsettled`: an acknowledgement of an earlier run may not have reached the broker, so that archived messages may be delivered again.
    `settled_sequence`: the sequence of the newest archive if no message of an earlier run is delivered again, otherwise 0.
    `deferred`: open archives that could not be recovered at the start.
    """

    def __init__(self, disk: Disk, layout: Layout, instance: str, lock: int) -> None:
        self.ledger = Ledger(disk, layout.directory, instance)
        self.deferred: list[Path] = []
        self.settled_sequence = 0
        self.unclean = self.ledger.state.unclean + self.ledger.state.running
        self.unsettled = self.ledger.state.running or self.ledger.state.unsettled
        self._disk, self._layout, self._instance, self._lock = disk, layout, instance, lock

    @classmethod
    async def acquire(cls, disk: Disk, layout: Layout, instance: str) -> Self:
        """Create the directory, wait for the lock, recover. Raises Fatal, also for an invalid name of an instance."""
        if not naming.is_instance(instance):
            raise Fatal(Exit.SETTINGS, f"{instance!r} is no name of an instance", f"use {naming.INSTANCE_RULE}")
        await asyncio.to_thread(_make_directory, disk, layout.directory)
        _check_file_system(disk, layout.directory)
        instance_lock = cls(disk, layout, instance, await _acquire_lock(disk, layout.directory, instance))
        try:
            instance_lock.ledger.check_sequence()
        except Fatal:
            instance_lock.release()
            raise
        await asyncio.to_thread(instance_lock._recover)
        return instance_lock

    def _recover(self) -> None:
        for finding in orphans.recover_own(self._disk, self._layout, self.ledger, self._instance):
            log_finding(finding)
            if finding.outcome in (Outcome.DEFERRED, Outcome.HELD):
                self.deferred.append(local_only(finding.path, "recover"))
        self.recover_others(self._disk)
        self._note(running=True, unclean=self.unclean, unsettled=self.unsettled)
        self.settled_sequence = 0 if self.unsettled else self.ledger.state.sequence

    def recover_others(self, disk: Disk) -> None:
        """Recover the archives of instances that no process holds. A directory that cannot be read is tried again later.

        `disk`: a Disk of the calling thread, because `Disk.unsynced` belongs to one thread.
        """
        try:
            for finding in orphans.recover_others(disk, self._layout, self._instance):
                log_finding(finding)
        except OSError as error:
            log.emit(log_events.RECOVERY_DEFERRED, path=str(self._layout.directory), reason=str(error))

    def end(self, consumed: bool, settled: bool = False) -> None:
        """Note in the ledger that this run ended cleanly. A run that never consumed changes nothing about the runs before it.

        `settled`: every archived event is acknowledged, so that none is delivered again.
        """
        with suppress(
            Fatal
        ):  # raised if another process has the instance: the ledger is then that of the other process
            self.check()
            self._end(consumed, settled)

    def _end(self, consumed: bool, settled: bool) -> None:
        unsettled = not settled if consumed else self.unsettled
        begins = self.ledger.state.begins if unsettled else ()
        self._note(
            running=False, unclean=0 if consumed else self.ledger.state.unclean, unsettled=unsettled, begins=begins
        )

    def check(self) -> None:
        """Check that this process still has the instance. Raises Fatal if the lock file was removed or replaced.

        Another process may then have the instance, and the next archives of both would have the same number.
        """
        path = naming.lock_path(self._layout.directory, self._instance)
        try:
            self._disk.check(self._lock, path, os.fstat(self._lock).st_size)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ESTALE) or not self._layout.directory.exists():
                return  # the disk fails, or the directory is gone: the next access to the disk reports it
            what = f"{path}: {error.strerror}: another process may have instance {self._instance!r} now"
            raise Fatal(Exit.INSTANCE, what, "never remove or replace a lock file; start again") from error

    def release(self) -> None:
        """Release the lock."""
        self._disk.close(self._lock)

    def _note(self, **changes: object) -> None:
        try:
            self.ledger.update(**changes)
        except OSError as error:
            log.emit(log_events.RECOVERY_DEFERRED, path=str(self.ledger.path), reason=str(error))


def _make_directory(disk: Disk, directory: Path) -> None:
    remedy = f"make it writable for user {os.getuid()}, or set archive.dir"
    try:
        disk.make_directory(directory.absolute())
    except (FileExistsError, NotADirectoryError) as error:
        what = f"archive directory {directory}: it, or a part of its path, is not a directory"
        raise Fatal(Exit.DIRECTORY, what, "name a directory, or a path at which one can be made") from error
    except OSError as error:
        raise Fatal(Exit.DIRECTORY, f"archive directory {directory}: {error.strerror}", remedy) from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise Fatal(Exit.DIRECTORY, f"archive directory {directory}: not writable", remedy)


def _check_file_system(disk: Disk, directory: Path) -> None:
    """Warn about a file system that may lose acknowledged events. An error of the disk is reported when the lock is acquired."""
    with suppress(OSError):
        if found := unsupported(disk.file_system(directory)):
            log.emit(log_events.UNSUPPORTED_FILE_SYSTEM, directory=str(directory), type=found[0], reason=found[1])


async def _acquire_lock(disk: Disk, directory: Path, instance: str) -> int:
    path = naming.lock_path(directory, instance)
    deadline = time.monotonic() + LOCK_S_MAX
    try:
        while (fd := disk.acquire(path, "running")) is None:
            if purpose_of(path) == orphans.RECOVERING:  # the recovery of large archives may take long
                deadline = time.monotonic() + LOCK_S_MAX
                log.emit(log_events.RECOVERY_AWAITED, path=str(path))
            if time.monotonic() > deadline:
                what = f"instance {instance!r} of {directory} belongs to another process"
                raise Fatal(Exit.INSTANCE, what, "stop that one, or give this one another archive.instance")
            await asyncio.sleep(0.2)
    except OSError as error:
        remedy = "make the archive directory writable, or set archive.dir"
        raise Fatal(Exit.DIRECTORY, f"{path}: {error.strerror}", remedy) from error
    return fd


def purpose_of(path: Path) -> str:
    """The purpose for which the lock file was locked last. Raises OSError."""
    return read_regular(path, PURPOSE_BYTES).decode("utf-8", "replace").strip()
