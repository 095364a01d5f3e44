"""Build the stages, run them, and stop them in order.

Invariants: if a stage fails, the service ends. The order of the end is: accept no new deliveries, commit, acknowledge, return the others
to the broker, seal, store the clean end. All of it has one deadline. After the deadline the process exits, even if a thread waits
for a disk that does not answer: nothing is lost, because unacknowledged messages are delivered again.
"""

import asyncio
import gc
import os
import signal
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from consumer import log, log_events
from consumer.amqp.connection import Broker
from consumer.amqp.topology import Declare
from consumer.archive.layout import Layout
from consumer.archive.rewriting.repacker import Repacker
from consumer.archive.writing.appender import Appender
from consumer.archive.writing.archive_log import ArchiveLog, ArchiveLogSettings
from consumer.archive.writing.instance_lock import InstanceLock
from consumer.archive.writing.recent_events import RecentEvents
from consumer.archive.writing.rolling import RollPolicy, RollReason
from consumer.config.loader import environment
from consumer.config.sections import Settings
from consumer.disk.durable import Disk
from consumer.errors import Exit, Fatal
from consumer.health import Health, boot_id
from consumer.ingest.batcher import BatchLimits
from consumer.ingest.dedupe import Deduplicator
from consumer.ingest.generation import IngestSettings
from consumer.ingest.ingest import Ingest
from consumer.ingest.prefetch import unacknowledged_max
from consumer.ingest.presets.describers import describe_by
from consumer.ingest.stage import IngestStage
from consumer.objects.stores import configure
from consumer.objects.url import ObjectUrl
from consumer.replay.stage import ReplayStage, replay_stage
from consumer.ship.building import ship_stage
from consumer.ship.destination_urls import destination_urls
from consumer.ship.retention.building import retention_of
from consumer.ship.retention.stage import RetainStage
from consumer.ship.stage import ShipStage
from consumer.ship.steps.building import steps_stage
from consumer.ship.steps.stage import StepsStage
from consumer.stage import Background, RunningStages
from consumer.stats import Stats

ORPHANS_S = 60.0  # between two searches of the directory for archives of dead instances
CLOSE_S_MIN = 1.0  # time to close the archive, even if the drain took all time until the deadline


@dataclass
class Components:
    """The running stages, and the resources that are closed after them."""

    instance_lock: InstanceLock
    appender: Appender
    ingest: Ingest
    stats: Stats
    health: Health
    stages: RunningStages
    ship: ShipStage | None
    sealing: set[asyncio.Task[None]] = field(default_factory=set)


class Service:
    """The service of `deedbox run`. `until_empty`: it declares nothing, and ends when the queue is empty."""

    def __init__(self, settings: Settings, until_empty: bool = False) -> None:
        self._settings, self._until_empty = settings, until_empty
        self._layout = Layout(Path(settings.archive.dir), settings.archive.name, settings.archive.level)
        self._describe = describe_by(settings.archive.describe)  # raises for a function that cannot be imported
        self._disk = Disk()
        self._loop = asyncio.get_running_loop()
        self._signal: asyncio.Future[str] = self._loop.create_future()
        self._deadline = float("inf")

    async def run(self) -> Exit:
        """Run until a signal arrives or a stage ends. Raises Fatal, or the error of the stage."""
        _reduce_garbage_collection()
        for sign in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(sign, self._on_signal, sign)
        self._loop.add_signal_handler(signal.SIGHUP, _ignore)  # no archive is open during recovery
        configure(self._settings.objects)
        ship = ship_stage(
            self._layout.directory, self._settings.ship
        )  # raises for a wrong setting before anything is locked
        replay = replay_stage(
            self._layout.directory, self._settings.replay, self._settings.instance, self._settings.service.stats_s
        )
        instance_lock = await InstanceLock.acquire(self._disk, self._layout, self._settings.instance)
        log.emit(
            log_events.STARTED, version=version("deedbox"), instance=self._settings.instance, unclean=instance_lock.unclean,
            directory=str(self._layout.directory), queue=self._settings.broker.queue,
        )  # fmt: skip
        components = self._start(instance_lock, ship, replay)
        await components.stages.first_end(self._signal)
        await self._end(components)
        for error in components.stages.failures().values():
            raise _without_creating(error) if self._until_empty else error
        if self._until_empty and not components.ingest.emptied:
            what = f"a signal ended the run before queue {self._settings.broker.queue!r} was empty"
            raise Fatal(Exit.NOT_EMPTY, what, "run it again")
        return Exit.OK

    def _start(self, instance_lock: InstanceLock, ship: ShipStage | None, replay: ReplayStage | None) -> Components:
        steps, retain = self._steps(), self._retain()
        repacker = Repacker(self._layout.directory, steps.offer if steps else lambda _: None)
        if ship:
            ship.leave_out(repacker.is_undecided)
        archive_log = self._archive_log(instance_lock, repacker)
        appender = Appender(archive_log)
        ingest = self._ingest(instance_lock, archive_log, appender)
        stage = IngestStage(ingest)
        stats = Stats(ingest, stage, appender, self._layout.directory, replay.summary if replay else None)
        health = Health(self._layout.directory, self._settings.instance)
        stages = RunningStages(
            [
                stage,
                Background("roll", appender.run_timer()),
                Background("stats", stats.run(self._settings.service.stats_s, health)),
                Background("orphans", _recover_orphans(instance_lock)),
                Background("repack", repacker.run()),
                *([replay] if replay else []),
                *([ship] if ship else []),
                *([steps] if steps else []),
                *([retain] if retain else []),
            ]
        )
        components = Components(instance_lock, appender, ingest, stats, health, stages, ship)
        self._loop.add_signal_handler(signal.SIGHUP, _seal, components)
        return components

    def _steps(self) -> StepsStage | None:
        """The stage of the steps on seal, if there are any."""
        settings = self._settings
        if not settings.seal.steps:
            return None
        return steps_stage(self._layout.directory, settings.seal, settings.ship, self._destinations(), environment())

    def _retain(self) -> RetainStage | None:
        """The stage of retention, if a limit is set."""
        settings = self._settings
        retention = retention_of(self._layout.directory, settings.retain, settings.ship, self._destinations())
        return RetainStage(retention, settings.retain.every_s) if retention.rules else None

    def _destinations(self) -> list[ObjectUrl]:
        return destination_urls(self._settings.ship.destinations, self._layout.directory)

    def _archive_log(self, instance_lock: InstanceLock, repacker: Repacker) -> ArchiveLog:
        settings, roll = self._settings, self._settings.roll
        policy = RollPolicy(roll.bytes, roll.age_s, roll.events, roll.align_s)
        archive_log = ArchiveLog(
            self._disk,
            ArchiveLogSettings(
                settings.instance, self._layout, policy, unacknowledged_max(settings.prefetch), settings.archive.free_bytes_min
            ),
            instance_lock.ledger,
            boot_id=boot_id(),
            on_sealed=repacker.sealed,
            guard=instance_lock.check,
        )  # fmt: skip
        for path in instance_lock.deferred:
            archive_log.adopt(path)
        return archive_log

    def _ingest(self, instance_lock: InstanceLock, archive_log: ArchiveLog, appender: Appender) -> Ingest:
        settings, batch = self._settings, self._settings.batch
        ingest_settings = IngestSettings(
            BatchLimits(batch.count, batch.bytes, batch.linger_s),
            settings.prefetch, instance_lock.unclean, instance_lock.unsettled, settings.broker.watchdog_s,
            until_empty=self._until_empty,
        )  # fmt: skip
        recent = RecentEvents(
            self._disk, self._layout.directory, settings.instance, archive_log.own, archive_log.keep_begins,
            instance_lock.settled_sequence,
        )  # fmt: skip
        deduplicator = Deduplicator(self._describe, recent)
        topology = settings.topology
        if self._until_empty:
            topology = replace(topology, declare=Declare.NONE)
        return Ingest(Broker(topology), appender, deduplicator, ingest_settings)

    def _on_signal(self, sign: signal.Signals) -> None:
        if self._signal.done():
            leave_now(Exit.DEADLINE)  # a second signal asks for an immediate end
        self._signal.set_result(sign.name)
        self._deadline = self._loop.time() + self._settings.service.drain_s

    async def _end(self, components: Components) -> None:
        """Drain the stages, close the archive and store the clean end. After the deadline, exit at once."""
        self._deadline = min(self._deadline, self._loop.time() + self._settings.service.drain_s)
        _report_failures(components)
        if IngestStage.name in components.stages.running():
            cause = self._signal.result() if self._signal.done() else ""
            log.emit(log_events.DRAINING, signal=cause, held=components.ingest.held)
        returned = await components.stages.drain(self._deadline)
        self._loop.add_signal_handler(signal.SIGHUP, _ignore)
        in_time = returned is None and await self._close_in_time(components)
        if not in_time:
            log.emit(log_events.DRAIN_DEADLINE, returned=returned or 0)
        # asyncio removes its handlers when the loop ends. SIGHUP would then end the process with another status.
        self._loop.remove_signal_handler(signal.SIGHUP)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        counters = components.ingest.counters
        log.emit(log_events.STOPPED, archived=counters.archived, acked=counters.acked, returned=counters.returned)
        if not in_time:
            leave_now(Exit.DEADLINE)
        if components.ship and components.ship.is_busy and not components.stages.failures():
            leave_now(Exit.OK)  # a thread waits for a storage that does not answer

    async def _close_in_time(self, components: Components) -> bool:
        """Seal the open archive and store the clean end. False if the deadline passes first."""
        closing = asyncio.create_task(_close(components))
        await asyncio.wait([closing], timeout=max(self._deadline - self._loop.time(), CLOSE_S_MIN))
        if closing.done():
            closing.result()
        return closing.done()


def _without_creating(error: BaseException) -> BaseException:
    """The error for a run that creates nothing: the usual advice for a missing queue is to let Deedbox create it."""
    if isinstance(error, Fatal) and error.exit is Exit.MISSING:
        return Fatal(error.exit, error.what, "check its name; run --until-empty creates no queue")
    return error


def _report_failures(components: Components) -> None:
    """Log the errors of all stages but ingest now, because the drain may end with an exit. That of ingest is logged at the end."""
    for name, error in components.stages.failures().items():
        if name != IngestStage.name:
            exit = error.exit if isinstance(error, Fatal) else Exit.INTERNAL
            do = (isinstance(error, Fatal) and error.do) or "report it, it is a defect of Deedbox"
            log.emit(log_events.FAILED, exit=int(exit), reason=str(error) or repr(error), do=do)


async def _close(components: Components) -> None:
    await asyncio.gather(*components.sealing, return_exceptions=True)
    await components.appender.close()
    await asyncio.to_thread(components.instance_lock.end, components.ingest.consumed, components.ingest.settled)
    await components.stats.last_look()  # the process cannot exit while its thread runs
    await components.health.write(components.stats.state() | {"state": "stopped"})
    components.instance_lock.release()


def _ignore() -> None:
    """Do nothing: no archive is open, and without a handler the signal would end the process."""


def _seal(components: Components) -> None:
    task = asyncio.create_task(components.appender.roll(RollReason.SIGNAL))
    components.sealing.add(task)
    task.add_done_callback(components.sealing.discard)


async def _recover_orphans(instance_lock: InstanceLock) -> None:
    disk = Disk()  # the disk of the service belongs to the writer thread
    while True:
        await asyncio.sleep(ORPHANS_S)
        await asyncio.to_thread(instance_lock.recover_others, disk)


def leave_now(exit: Exit) -> None:
    """Exit at once, even if a thread waits for a disk that does not answer."""
    log.flush()
    os._exit(exit)


def _reduce_garbage_collection() -> None:
    """Collect garbage cycles less often: deliveries make none, and the search for them costs 5 % of the time of a message."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
