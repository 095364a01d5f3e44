"""Publish the archived events of a directory to another broker, live and in the order of each instance: durable mirroring.

Invariants: a batch is stored in the checkpoint only after the other broker confirmed all of its events, or those that it does not take were
recorded. One process at a time has the checkpoint; the others wait for it. After each interruption the archive is read again from the
checkpoint on, so that events that were deleted meanwhile are not published. No fault of the other broker or of the archive ends the mirror.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from uuid import uuid4

from consumer import log
from consumer.amqp.confirmed_publisher import ConfirmedPublisher
from consumer.amqp.settled import Window
from consumer.amqp.tls import tls_context
from consumer.amqp.topology import without_password
from consumer.disk.durable import Disk
from consumer.errors import DeedboxError, Exit, Fatal, Retry
from consumer.follow.checkpoint import Checkpoint, checkpoint_path, registered
from consumer.follow.tail import Tail, TailBatch
from consumer.query.query import Query
from consumer.replay import log_events
from consumer.replay.hindrance import Patience
from consumer.replay.lag import Lag
from consumer.replay.marker import Marker
from consumer.replay.mirrored_batch import BatchPublisher, Hindered
from consumer.replay.set_aside import set_aside_path
from consumer.replay.settings import ReplaySection
from consumer.replay.target import Overrides
from consumer.topic import Topic
from consumer.watch.backends import choose

POLL_S = 0.25  # the longest delay of an event that the file monitor did not report
RETRY_S, RETRY_S_MAX = 0.5, 30.0  # the first and the longest wait before another attempt
STANDBY_S = 2.0  # between two attempts to get the checkpoint
LAG_S = 5.0  # between two counts of the events that follow the checkpoint


class MirrorState(StrEnum):
    """The current state. Its values appear in the log and in the health file."""

    CONNECTING = "connecting"
    PUBLISHING = "publishing"
    WAITING = "waiting"  # for the other broker to take an event
    STANDBY = "standby"  # another process has the checkpoint
    STOPPED = "stopped"  # a person must act


@dataclass
class Progress:
    """The state and the figures of a mirror; the fields are those of the log event `mirror_progress`."""

    state: MirrorState = MirrorState.CONNECTING
    behind: int = 0
    published: int = 0
    set_aside: int = 0
    reason: str = ""


class _ConnectionTrouble(Exception):
    """The other broker is not there, or does not let the mirror work."""

    def __init__(self, error: DeedboxError) -> None:
        super().__init__(str(error))
        self.reason = error.what


def query_of(settings: ReplaySection) -> Query:
    """The events that are published. Raises Fatal for a pattern that is wrong."""
    key = Topic.parse(settings.from_routing_key) if settings.from_routing_key else None
    return Query(exchange=settings.from_exchange or None, routing_key=key)


class Mirror:
    """One mirror of an archive directory. Call `run` once; `stop` ends it after the present batch. Raises Fatal for a setting that is wrong."""

    def __init__(self, directory: Path, settings: ReplaySection, name: str) -> None:
        topology = settings.topology(name)
        self._directory, self._settings, self._query, self._name = directory, settings, query_of(settings), name
        self._url, self._context, self._shown = (
            topology.url,
            tls_context(topology, "replay"),
            without_password(topology.url),
        )
        route = Overrides(settings.exchange or None, settings.routing_key or None).route()
        aside = set_aside_path(directory, settings.checkpoint)
        self._batches = BatchPublisher(
            route, Marker(str(uuid4())), settings.relay, Patience(settings.patience_s), aside, self._shown
        )
        self._state, self._reason = MirrorState.CONNECTING, ""
        self._publisher: ConfirmedPublisher | None = None
        self._lag, self._behind = Lag(directory), 0
        self._backend = choose(every_write=True)
        self._retry_s = RETRY_S
        self._waiting_since, self._waiting_for = 0.0, ""  # since when, and for the event at which position
        self._stopping = asyncio.Event()

    @property
    def progress(self) -> Progress:
        """The present state."""
        state, reason = self._state, self._reason
        if self._publisher is not None and self._publisher.blocked:
            state, reason = MirrorState.WAITING, f"{self._shown} does not read: {self._publisher.blocked}"
        return Progress(state, self._behind, self._batches.published, self._batches.set_aside, reason)

    def stop(self) -> None:
        """Let `run` end after the present batch."""
        self._stopping.set()

    async def run(self) -> None:
        """Mirror until `stop`, or until it is cancelled. What was confirmed is stored in both cases."""
        counting = asyncio.create_task(self._count())
        try:
            while not self._stopping.is_set():
                try:
                    await self._mirror()
                except DeedboxError as error:
                    self._state, self._reason = MirrorState.STOPPED, str(error)
                    log.emit(log_events.MIRROR_FAILED, reason=error.what, do=error.do, wait_s=round(self._retry_s, 1))
                    await self._wait_longer()
        finally:
            counting.cancel()
            log.emit(log_events.MIRROR_STOPPED, published=self._batches.published, set_aside=self._batches.set_aside)

    async def _mirror(self) -> None:
        """Mirror with the checkpoint until `stop`. Raises DeedboxError for a fault of the checkpoint or of the archive."""
        checkpoint = await self._acquire()
        if checkpoint is None:
            return
        with closing(checkpoint):
            if checkpoint.is_new:
                checkpoint.store({})  # from now on retention waits for this follower
            while not self._stopping.is_set():
                try:
                    await self._connected(checkpoint)
                except _ConnectionTrouble as error:
                    self._state, self._reason = MirrorState.CONNECTING, error.reason
                    wait_s = round(self._retry_s, 1)
                    log.emit(
                        log_events.MIRROR_CONNECT_FAILED, destination=self._shown, reason=error.reason, wait_s=wait_s
                    )
                    await self._wait_longer()

    async def _acquire(self) -> Checkpoint | None:
        """The checkpoint, as soon as no other process has it; None after `stop`. Raises DeedboxError."""
        while not self._stopping.is_set():
            try:
                return Checkpoint(Disk(), self._directory, self._settings.checkpoint)
            except Fatal as error:
                if error.exit is not Exit.INSTANCE:
                    raise
            if self._state is not MirrorState.STANDBY:
                log.emit(log_events.MIRROR_STANDBY, checkpoint=self._settings.checkpoint)
            self._state, self._reason = MirrorState.STANDBY, ""
            await self._sleep(STANDBY_S)
        return None

    async def _connected(self, checkpoint: Checkpoint) -> None:
        """Connect and publish until `stop`. Raises _ConnectionTrouble, or DeedboxError for a fault of the archive."""
        self._state = MirrorState.CONNECTING
        publisher = ConfirmedPublisher(self._url, self._context, self._name, self._batches.settled, Window())
        try:
            await publisher.__aenter__()
        except (Retry, Fatal) as error:
            raise _ConnectionTrouble(error) from error
        self._publisher = publisher
        try:
            log.emit(
                log_events.MIRRORING, destination=self._shown, exchange=self._settings.exchange,
                checkpoint=self._settings.checkpoint, behind=await asyncio.to_thread(self._count_once),
            )  # fmt: skip
            while not self._stopping.is_set():
                await self._follow(checkpoint, publisher)
        finally:
            self._publisher = None
            await publisher.__aexit__(None, None, None)

    async def _follow(self, checkpoint: Checkpoint, publisher: ConfirmedPublisher) -> None:
        """Read from the checkpoint on and publish, until an event must be tried again, and wait then. Stores what was confirmed."""
        tail = Tail([self._directory], self._query)
        try:
            await asyncio.to_thread(tail.resume, checkpoint, self._directory)
            hindered = list[Hindered]()
            while not (hindered or self._stopping.is_set()):
                if publisher.lost:  # nothing was sent since
                    raise _ConnectionTrouble(Retry(f"{self._shown}: {publisher.lost}"))
                hindered = await self._publish_new(tail, publisher)
                self._report_faults(tail)
                if not hindered:
                    await asyncio.to_thread(tail.wait, self._backend, POLL_S)
        finally:
            with closing(tail):
                tail.store()
        if hindered:
            await self._wait_for_the_broker(hindered)

    async def _publish_new(self, tail: Tail, publisher: ConfirmedPublisher) -> list[Hindered]:
        """Publish what was archived since. Return the events that must be tried again."""
        batches = tail.batches()
        while not self._stopping.is_set() and (batch := await asyncio.to_thread(_next, batches)) is not None:
            try:
                hindered = await self._batches.publish(batch.found, publisher)
            except (Retry, Fatal) as error:
                raise _ConnectionTrouble(error) from error
            if hindered:
                return hindered
            self._note_success(any(found.position == self._waiting_for for found in batch.found))
            tail.note(batch)
            tail.store_if_due()
        self._note_success(resumed=True)
        tail.store_if_due()
        return []

    def _note_success(self, resumed: bool) -> None:
        """A batch was published, or everything. `resumed`: with it the event for which the mirror waits, if it waits."""
        if self._waiting_for and resumed:
            log.emit(log_events.MIRROR_RESUMED, waited_s=round(time.monotonic() - self._waiting_since, 1))
            self._waiting_for = ""
        if not self._waiting_for:
            self._state, self._reason, self._retry_s = MirrorState.PUBLISHING, "", RETRY_S

    async def _wait_for_the_broker(self, hindered: list[Hindered]) -> None:
        (found, reason), wait_s = hindered[0], round(self._retry_s, 1)
        self._waiting_since = self._waiting_since if self._waiting_for else time.monotonic()
        self._waiting_for = found.position
        self._state, self._reason = MirrorState.WAITING, f"{found.position}: {reason}"
        log.emit(
            log_events.MIRROR_WAITING, destination=self._shown, count=len(hindered), position=found.position,
            exchange=found.event.exchange, routing_key=found.event.routing_key, reason=reason, wait_s=wait_s,
        )  # fmt: skip
        await self._wait_longer()

    def _report_faults(self, tail: Tail) -> None:
        for fault in tail.faults:
            log.emit(log_events.MIRROR_UNREADABLE, path=str(fault.path), reason=fault.reason)
        tail.faults.clear()

    async def _count(self) -> None:
        """Count again and again how many events follow the stored checkpoint, also if another process has it."""
        while True:
            with suppress(DeedboxError, OSError):  # `run` reports it
                self._behind = await asyncio.to_thread(self._count_once)
            await self._sleep(LAG_S)

    def _count_once(self) -> int:
        path = checkpoint_path(self._directory, self._settings.checkpoint)
        return self._lag.behind(registered(self._directory).get(path, {}))

    async def _wait_longer(self) -> None:
        await self._sleep(self._retry_s)
        self._retry_s = min(2 * self._retry_s, RETRY_S_MAX)

    async def _sleep(self, wait_s: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), wait_s)


def _next(batches: Iterator[TailBatch]) -> TailBatch | None:
    return next(batches, None)


def fields_of(progress: Progress) -> dict[str, object]:
    """The fields of the log event `mirror_progress`."""
    return asdict(progress)
