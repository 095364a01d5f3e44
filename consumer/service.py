"""Build the stages, start them, stop them in order.

Invariants: a stage that dies takes the service with it. The order of the end is: no new deliveries, commit what is held,
acknowledge, give back the rest, seal, note the clean end; all of it within one deadline, after which the process leaves
although something waits for a disk that does not answer: nothing unacknowledged is lost by that.
"""

import asyncio
import gc
import os
import signal
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from consumer import log, log_events
from consumer.amqp.connection import Broker
from consumer.amqp.delivery import DESCRIBERS
from consumer.archive.layout import Layout
from consumer.archive.rewriting.repacker import Repacker
from consumer.archive.writing.appender import Appender
from consumer.archive.writing.archive_log import ArchiveLog, ArchiveLogSettings
from consumer.archive.writing.instance_lock import InstanceLock
from consumer.archive.writing.recent_events import RecentEvents
from consumer.archive.writing.rolling import RollPolicy
from consumer.config.sections import Settings
from consumer.disk.durable import Disk
from consumer.errors import Exit, Fatal
from consumer.health import Health, boot_id
from consumer.ingest.batcher import BatchLimits
from consumer.ingest.dedupe import Deduplicator
from consumer.ingest.generation import IngestSettings
from consumer.ingest.ingest import Ingest
from consumer.ingest.window import unacknowledged_max
from consumer.stats import Stats

ORPHANS_S = 60.0  # how often the directory is searched for archives of dead instances


@dataclass
class Stages:
    """What runs, and the tasks that run it."""

    instance_lock: InstanceLock
    appender: Appender
    ingest: Ingest
    stats: Stats
    health: Health
    ingesting: asyncio.Task[None]
    watches: list[asyncio.Task[None]]
    sealing: set[asyncio.Task[None]] = field(default_factory=set)


class Service:
    """One running Deedbox."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._layout = Layout(Path(settings.archive.dir), settings.archive.name, settings.archive.level)
        self._disk = Disk()
        self._loop = asyncio.get_running_loop()
        self._signal: asyncio.Future[str] = self._loop.create_future()
        self._deadline = float("inf")

    async def run(self) -> Exit:
        """Until a signal. Raises Fatal."""
        _collect_less()
        for sign in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(sign, self._on_signal, sign)
        self._loop.add_signal_handler(signal.SIGHUP, _ignore)  # while the directory is recovered, nothing is open
        instance_lock = await InstanceLock.acquire(self._disk, self._layout, self._settings.instance)
        log.emit(
            log_events.STARTED, version=version("deedbox"), instance=self._settings.instance, unclean=instance_lock.unclean,
            directory=str(self._layout.directory), queue=self._settings.broker.queue,
        )  # fmt: skip
        stages = self._start(instance_lock)
        try:
            await self._until_ended(stages)
        finally:
            await self._end(stages)
        return Exit.OK

    def _start(self, instance_lock: InstanceLock) -> Stages:
        settings = self._settings
        repacker = Repacker(self._layout.directory)
        archive_log = ArchiveLog(
            self._disk, self._archive_log_settings(), instance_lock.ledger, boot_id=boot_id(), on_sealed=repacker.sealed, guard=instance_lock.check,
        )  # fmt: skip
        for path in instance_lock.deferred:
            archive_log.adopt(path)
        appender = Appender(archive_log)
        ingest_settings = IngestSettings(
            BatchLimits(settings.batch.count, settings.batch.bytes, settings.batch.linger_s),
            settings.prefetch, instance_lock.unclean, instance_lock.unsettled, settings.broker.watchdog_s,
        )  # fmt: skip
        recent = RecentEvents(
            self._disk,
            self._layout.directory,
            settings.instance,
            archive_log.own,
            archive_log.keep_begins,
            instance_lock.settled_sequence,
        )
        deduplicator = Deduplicator(DESCRIBERS[settings.archive.describe], recent)
        ingest = Ingest(Broker(settings.topology), appender, deduplicator, ingest_settings)
        stats = Stats(ingest, appender, self._layout.directory)
        health = Health(self._layout.directory, settings.instance)
        watches = [
            appender.run_timer(), stats.run(settings.service.stats_s, health), _adopt_orphans(instance_lock), repacker.run(),
        ]  # fmt: skip
        tasks = [asyncio.create_task(watch) for watch in watches]
        stages = Stages(instance_lock, appender, ingest, stats, health, asyncio.create_task(ingest.run()), tasks)
        self._loop.add_signal_handler(signal.SIGHUP, _seal, stages)
        return stages

    def _archive_log_settings(self) -> ArchiveLogSettings:
        settings, roll = self._settings, self._settings.roll
        policy = RollPolicy(roll.bytes, roll.age_s, roll.events, roll.align_s)
        return ArchiveLogSettings(
            settings.instance,
            self._layout,
            policy,
            unacknowledged_max(settings.prefetch),
            settings.archive.free_bytes_min,
        )

    def _on_signal(self, sign: signal.Signals) -> None:
        if self._signal.done():
            leave_now(Exit.DEADLINE)  # asked twice: somebody is in a hurry
        self._signal.set_result(sign.name)
        self._deadline = self._loop.time() + self._settings.service.drain_s

    async def _until_ended(self, stages: Stages) -> None:
        """Wait for a signal or a failure; then commit what is held, as far as the deadline allows. Raises Fatal."""
        waited: list[asyncio.Future[Any]] = [stages.ingesting, self._signal, *stages.watches]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        self._deadline = min(self._deadline, self._loop.time() + self._settings.service.drain_s)
        failures = [error for watch in stages.watches if watch.done() and (error := watch.exception())]
        for error in failures:  # said here, because the end may have to leave without it
            exit = error.exit if isinstance(error, Fatal) else Exit.INTERNAL
            log.emit(
                log_events.FAILED,
                exit=int(exit),
                reason=str(error) or repr(error),
                do="report it, it is a defect of Deedbox",
            )
        if not stages.ingesting.done():
            log.emit(
                log_events.DRAINING,
                signal=self._signal.result() if self._signal.done() else "",
                held=stages.ingest.held,
            )
            await self._within_deadline(asyncio.create_task(stages.ingest.stop()))
            await self._within_deadline(stages.ingesting)
        if stages.ingesting.done():
            stages.ingesting.result()
        for error in failures:
            raise error

    async def _within_deadline(self, task: asyncio.Task[None]) -> None:
        """Wait for the task, and not longer than the drain may take. Its result is left to those that ask for it."""
        await asyncio.wait([task], timeout=max(self._deadline - self._loop.time(), 0.0))

    async def _end(self, stages: Stages) -> None:
        """Give back what is not committed, seal, note the end. Past the deadline: leave."""
        self._loop.add_signal_handler(signal.SIGHUP, _ignore)
        for task in stages.watches:
            task.cancel()
        late = not stages.ingesting.done()
        returned = await stages.ingest.release() if late else 0
        closing = asyncio.create_task(self._close(stages))
        if not late:
            await asyncio.wait([closing], timeout=max(self._deadline - self._loop.time(), 1.0))
        late = late or not closing.done()
        if late:
            log.emit(log_events.DRAIN_DEADLINE, returned=returned)
        counters = stages.ingest.counters
        log.emit(log_events.STOPPED, archived=counters.archived, acked=counters.acked, returned=counters.returned)
        if late:
            leave_now(Exit.DEADLINE)
        closing.result()

    async def _close(self, stages: Stages) -> None:
        await asyncio.gather(*stages.sealing, *stages.watches, return_exceptions=True)
        await stages.appender.close()
        await asyncio.to_thread(stages.instance_lock.end, stages.ingest.consumed, stages.ingest.settled)
        await stages.stats.last_look()  # its thread would hold up the end of the process
        await stages.health.write(stages.stats.state() | {"state": "stopped"})
        stages.instance_lock.release()


def _ignore() -> None:
    """There is nothing to seal; without a handler the signal would end the process."""


def _seal(stages: Stages) -> None:
    task = asyncio.create_task(stages.appender.roll("signal"))
    stages.sealing.add(task)
    task.add_done_callback(stages.sealing.discard)


async def _adopt_orphans(instance_lock: InstanceLock) -> None:
    disk = Disk()  # that of the service belongs to the writer thread
    while True:
        await asyncio.sleep(ORPHANS_S)
        await asyncio.to_thread(instance_lock.recover_others, disk)


def leave_now(exit: Exit) -> None:
    """End the process although a thread waits for a disk that does not answer."""
    log.flush()
    os._exit(exit)


def _collect_less() -> None:
    """Look for garbage cycles less often: deliveries make none, and visiting them costs a twentieth of a message's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
