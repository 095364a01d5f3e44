"""Build the stages, start them, stop them in order.

Invariant: a stage that dies takes the service with it; the order of the end is: no new deliveries, commit what is
held, acknowledge, give back the rest, seal, note the clean end.
"""

import asyncio
import os
import signal
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from consumer import log
from consumer.archive import recovery
from consumer.archive.appender import Appender
from consumer.archive.durable import Disk
from consumer.archive.ledger import Ledger
from consumer.archive.rolling import RollPolicy
from consumer.archive.shelf import Shelf, ShelfSettings, report
from consumer.archive.writer import Place
from consumer.errors import Exit, Fatal
from consumer.health import Health
from consumer.ingest.batcher import BatchLimits
from consumer.ingest.broker import Broker
from consumer.ingest.dedupe import Intake
from consumer.ingest.delivery import DESCRIBERS
from consumer.ingest.ingest import Ingest, Pace
from consumer.settings import Settings
from consumer.stats import Stats

ORPHANS_S = 60.0  # how often the directory is searched for archives of dead instances
LOCK_S_MAX = 5.0  # another instance may be recovering our archives, which takes seconds


class Service:
    """One running Deedbox."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._directory = Path(settings.archive.dir)
        self._disk = Disk()
        self._place = Place(self._directory, settings.archive.name, settings.archive.level)
        self._deferred: list[Path] = []
        self._signal: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def run(self) -> Exit:
        """Until a signal. Raises Fatal."""
        _make_directory(self._disk, self._directory)
        lock = await _take_instance(self._disk, self._directory, self._settings.instance)
        try:
            return await self._live()
        finally:
            self._disk.close(lock)

    async def _live(self) -> Exit:
        ledger = Ledger(self._disk, self._directory, self._settings.instance)
        await asyncio.to_thread(self._recover, ledger)
        unclean = ledger.state.unclean + 1 if ledger.state.running else 0
        _note(ledger, running=True, unclean=unclean)
        self._say_started(unclean)
        exit = await self._serve(ledger, unclean)
        _note(ledger, running=False, unclean=0)
        return exit

    def _recover(self, ledger: Ledger) -> None:
        try:
            for finding in recovery.recover_own(self._disk, self._place, ledger, self._settings.instance):
                report(finding)
                if finding.outcome in ("deferred", "held"):
                    self._deferred.append(finding.path)
            self._recover_others()
        except OSError as error:
            log.emit("recovery_deferred", path=str(self._directory), reason=str(error))

    def _recover_others(self) -> None:
        for finding in recovery.recover_others(self._disk, self._place, self._settings.instance):
            report(finding)

    def _say_started(self, unclean: int) -> None:
        settings = self._settings
        log.emit(
            "started",
            version=version("deedbox"),
            instance=settings.instance,
            directory=str(self._directory),
            queue=settings.broker.queue,
            unclean=unclean,
        )

    async def _serve(self, ledger: Ledger, unclean: int) -> Exit:
        settings = self._settings
        shelf = Shelf(self._disk, self._shelf_settings(), ledger, boot_id=_boot_id())
        for path in self._deferred:
            shelf.adopt(path)
        appender = Appender(shelf)
        pace = Pace(
            BatchLimits(settings.batch.count, settings.batch.bytes, settings.batch.linger_s),
            settings.prefetch, unclean, settings.broker.watchdog_s,
        )  # fmt: skip
        ingest = Ingest(Broker(settings.topology), appender, Intake(DESCRIBERS[settings.archive.describe]), pace)
        stats = Stats(ingest, shelf, self._directory)
        health = Health(self._directory, settings.instance)
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, self._on_signal, sign)
        sealing: set[asyncio.Task[None]] = set()
        loop.add_signal_handler(signal.SIGHUP, lambda: sealing.add(asyncio.create_task(appender.roll("signal"))))
        watches = [
            asyncio.create_task(appender.run_timer()),
            asyncio.create_task(stats.run(settings.service.stats_s, health)),
            asyncio.create_task(self._adopt_orphans()),
        ]
        ingesting = asyncio.create_task(ingest.run())
        try:
            waited: list[asyncio.Future[Any]] = [ingesting, self._signal, *watches]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            for watch in watches:
                if watch.done():
                    watch.result()  # they never end by themselves, so this raises what ended it
            exit = await self._drain(ingest, ingesting)
        finally:
            for task in (*watches, ingesting):
                task.cancel()
        await asyncio.gather(*sealing)
        return await self._finish(exit, ingest, appender)

    async def _finish(self, exit: Exit, ingest: Ingest, appender: Appender) -> Exit:
        if exit is Exit.OK:
            await appender.close()
        counters = ingest.counters
        log.emit(
            "stopped", archived=counters.archived, acked=counters.acked, returned=counters.returned, exit=int(exit)
        )
        if exit is not Exit.OK:
            leave_now(exit)
        return exit

    def _shelf_settings(self) -> ShelfSettings:
        settings, roll = self._settings, self._settings.roll
        policy = RollPolicy(roll.bytes, roll.age_s, roll.events, roll.align_s)
        return ShelfSettings(settings.instance, self._place, policy, settings.prefetch, settings.archive.free_bytes_min)

    def _on_signal(self, sign: signal.Signals) -> None:
        if not self._signal.done():
            self._signal.set_result(sign.name)

    async def _drain(self, ingest: Ingest, ingesting: "asyncio.Task[None]") -> Exit:
        """Commit what is held, within the deadline; then give back the rest."""
        if not ingesting.done():
            log.emit("draining", signal=self._signal.result(), held=ingest.batches.held if ingest.batches else 0)
            stopping = asyncio.create_task(ingest.stop())
            await asyncio.wait([ingesting], timeout=self._settings.service.drain_s)
            await stopping
        if ingesting.done():
            ingesting.result()
            return Exit.OK
        log.emit("drain_deadline", returned=await ingest.release())
        return Exit.DEADLINE

    async def _adopt_orphans(self) -> None:
        while True:
            await asyncio.sleep(ORPHANS_S)
            try:
                await asyncio.to_thread(self._recover_others)
            except OSError as error:
                log.emit("recovery_deferred", path=str(self._directory), reason=str(error))


def leave_now(exit: Exit) -> None:
    """End the process although the writer thread waits for a disk that does not answer."""
    log.flush()
    os._exit(exit)


def _make_directory(disk: Disk, directory: Path) -> None:
    remedy = f"make it writable for user {os.getuid()}, or set archive.dir"
    try:
        disk.make_directory(directory.absolute())
    except OSError as error:
        raise Fatal(Exit.DIRECTORY, f"archive directory {directory}: {error.strerror}", remedy) from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise Fatal(Exit.DIRECTORY, f"archive directory {directory}: not writable", remedy)


async def _take_instance(disk: Disk, directory: Path, instance: str) -> int:
    """The lock that says that the instance is alive, as a descriptor. Raises Fatal."""
    path = recovery.lock_path(directory, instance)
    deadline = time.monotonic() + LOCK_S_MAX
    try:
        while (fd := disk.take(path)) is None:
            if time.monotonic() > deadline:
                raise Fatal(
                    Exit.INSTANCE,
                    f"instance {instance!r} of {directory} belongs to another process",
                    "stop that one, or give this one another archive.instance",
                )
            await asyncio.sleep(0.2)
    except OSError as error:
        raise Fatal(
            Exit.DIRECTORY, f"{path}: {error.strerror}", "make the archive directory writable, or set archive.dir"
        ) from error
    return fd


def _note(ledger: Ledger, **changes: object) -> None:
    try:
        ledger.update(**changes)
    except OSError as error:
        log.emit("recovery_deferred", path=str(ledger.path), reason=str(error))


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
