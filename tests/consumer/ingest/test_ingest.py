"""Ingest with a fake broker and a fake archive."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from codec.event import Event
from consumer import log
from consumer.amqp.delivery import Delivery
from consumer.amqp.session import EndCause, SessionEnd
from consumer.amqp.topology import Topology
from consumer.errors import DeedboxError, Exit, Fatal, Retry, StorageFault, StorageReason
from consumer.ingest import watchdog
from consumer.ingest.batcher import BatchLimits
from consumer.ingest.dedupe import KNOWN_S, Deduplicator
from consumer.ingest.describe import describe
from consumer.ingest.generation import IngestSettings
from consumer.ingest.ingest import Ingest
from tests.support.deliveries import delivery

SETTINGS = IngestSettings(BatchLimits(10, 1 << 20, 0.001), prefetch=64, retry_s=0.001, retry_s_max=0.002)


class Reader:
    last_content = 0.0

    def __init__(self) -> None:
        self.flow: list[str] = []

    def pause(self) -> None:
        self.flow.append("pause")

    def resume(self) -> None:
        self.flow.append("resume")

    def keepalive(self) -> None:
        self.flow.append("keepalive")


class FakeSession:
    """Delivers the messages in `waiting`, limited by the prefetch."""

    def __init__(self, broker: "FakeBroker", sink: Callable[[list[Delivery], bool], None], number: int) -> None:
        self.number, self.queue, self.messages_waiting = number, "q", len(broker.waiting) + broker.undelivered
        self.ended: asyncio.Future[SessionEnd] = asyncio.get_running_loop().create_future()
        self.acks_arrived = False
        self.reader = Reader()
        self.prefetch = 0
        self.delivery_limit = broker.delivery_limit
        self.topology = Topology("amqp://played/", "q", exchange="exchange", binding_keys=("key", "a.#"))
        self._broker, self._sink = broker, sink
        self._unacked: list[Delivery] = []
        self._tag = 0

    async def consume(self, prefetch: int) -> None:
        if fault := self._broker.consume_fault:
            self._broker.consume_fault = None
            raise fault
        self.prefetch = prefetch
        self._broker.windows.append(prefetch)
        self.deliver()

    def deliver(self) -> None:
        while self._broker.waiting and len(self._unacked) < self.prefetch and not self._broker.silent:
            body, redelivered = self._broker.waiting.pop(0)
            self._tag += 1
            self._unacked.append(delivery(self._tag, body, redelivered=redelivered))
            self._sink(self._unacked[-1:], False)

    async def ack(self, tag: int) -> bool:
        if self.ended.done():
            return False
        self._broker.acked += [found.body for found in self._unacked if found.tag <= tag]
        self._unacked = [found for found in self._unacked if found.tag > tag]
        self.deliver()
        return True

    async def ack_each(self, tags: Sequence[int]) -> bool:
        self._broker.acked += [found.body for found in self._unacked if found.tag in tags]
        self._unacked = [found for found in self._unacked if found.tag not in tags]
        self.deliver()
        return True

    async def stop(self) -> None:
        self._broker.silent = True

    async def release(self) -> None:
        self.acks_arrived = not (self.ended.done() or self._broker.lost_in_release)
        self._broker.waiting[:0] = [(found.body, True) for found in self._unacked]
        self._unacked = []
        self.end(EndCause.RELEASED, "released")

    async def messages_ready(self) -> int:
        self._broker.asked += 1
        return len(self._broker.waiting)

    def end(self, cause: EndCause, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(SessionEnd(cause, reason))


class FakeBroker:
    shown = "amqp://played/"

    def __init__(self, bodies: Sequence[bytes] = ()) -> None:
        self.waiting = [(body, False) for body in bodies]
        self.acked: list[bytes] = []
        self.windows: list[int] = []
        self.faults: list[DeedboxError] = []
        self.consume_fault: DeedboxError | None = None
        self.silent = self.gone_for_good = self.lost_in_release = False
        self.undelivered = 0
        self.asked = 0  # how often the length of the queue was read
        self.opened = 0
        self.delivery_limit: int | None = 20
        self.sessions: list[FakeSession] = []

    async def open(self, sink: Callable[[list[Delivery], bool], None]) -> FakeSession:
        if self.faults:
            raise self.faults.pop(0)
        if self.opened and self.gone_for_good:
            raise Retry("not there")
        self.opened += 1
        self.sessions.append(FakeSession(self, sink, self.opened))
        return self.sessions[-1]


class FakeReceipt:
    bytes = 1
    sync_s = 2.0

    def __init__(self, events: int) -> None:
        self.events = events


class FakeArchive:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.faults = 0
        self.probes = 0
        self.probed: list[int] = []
        self.before: Callable[[], None] = lambda: None

    async def append(self, make_events: Callable[[], Sequence[Event]]) -> FakeReceipt:
        self.before()
        events = make_events()
        if self.faults:
            self.faults -= 1
            raise StorageFault(StorageReason.DISK_FULL, "full", "free space", 500)
        self.events += events
        return FakeReceipt(len(events))

    async def run(self, step: Callable[[], None]) -> None:
        step()

    def window(self) -> Iterator[tuple[str, Event]]:
        yield from ((f"one-00000001:{number}", event) for number, event in enumerate(self.events))

    def changed(self) -> Iterator[tuple[str, Event]]:
        yield from ()

    async def probe(self, size: int = 0) -> None:
        self.probes += 1
        self.probed.append(size)
        if self.probes < 4:
            raise StorageFault(StorageReason.DISK_FULL, "still full", "free space")


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(log, "emit", lambda event, **_: lines.append(event.name))
    monkeypatch.setattr(watchdog, "WATCH_S", 0.005)
    return lines


def ingest(
    broker: FakeBroker,
    archive: FakeArchive,
    settings: IngestSettings = SETTINGS,
    clock: Callable[[], float] = time.monotonic,
) -> Ingest:
    return Ingest(broker, archive, Deduplicator(describe, archive, clock), settings)  # type: ignore[arg-type]


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not met():
            await asyncio.sleep(0.001)


async def test_everything_is_archived_and_acknowledged_and_stop_drains(logged: list[str]) -> None:
    broker, archive = FakeBroker([b"%d" % n for n in range(100)]), FakeArchive()
    running = ingest(broker, archive)
    task = asyncio.create_task(running.run())
    await until(lambda: len(broker.acked) == 100)
    await running.stop()
    await task
    assert [event.body for event in archive.events] == broker.acked
    assert broker.sessions[0].acks_arrived
    assert (running.counters.archived, running.counters.acked) == (100, 100)
    assert "slow_sync" in logged


async def test_a_disk_fault_pauses_returns_messages_probes_and_resumes(logged: list[str]) -> None:
    broker, archive = FakeBroker([b"%d" % n for n in range(30)]), FakeArchive()
    archive.faults = 1
    running = ingest(broker, archive)
    task = asyncio.create_task(running.run())
    await until(lambda: len(broker.acked) == 30)
    await running.stop()
    await task
    assert sorted(event.body for event in archive.events) == sorted(b"%d" % n for n in range(30))
    assert [line for line in logged if line in ("paused", "still_paused", "resumed")] == [
        "paused",
        "still_paused",
        "still_paused",
        "resumed",
    ]
    assert running.counters.returned > 0
    assert broker.sessions[0].acks_arrived


async def test_the_reason_of_a_pause_and_of_a_failed_connection_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    broker, archive = FakeBroker([b"1"]), FakeArchive()
    broker.faults, archive.faults = [Retry("not there", "start it")], 1
    running = ingest(broker, archive)
    reasons: dict[str, tuple[str, str]] = {}
    monkeypatch.setattr(log, "emit", lambda event, **_: reasons.update({event.name: (running.state, running.reason)}))
    task = asyncio.create_task(running.run())
    await until(lambda: broker.acked == [b"1"])
    assert reasons["connect_failed"] == ("connecting", "not there; start it")
    assert reasons["paused"] == ("paused", "full; free space")
    assert reasons["still_paused"] == ("paused", "still full; free space")
    assert (running.state, running.reason) == ("consuming", "")
    await running.stop()
    await task


async def test_stop_during_a_pause_ends_ingest(logged: list[str]) -> None:
    broker, archive = FakeBroker([b"x"]), FakeArchive()
    archive.faults, archive.probes = 10**6, -(10**6)
    running = ingest(broker, archive)
    task = asyncio.create_task(running.run())
    await until(lambda: "still_paused" in logged)
    await running.stop()
    await task
    assert broker.waiting == [(b"x", True)]


async def test_after_a_lost_connection_ingest_reconnects_and_marks_duplicates(logged: list[str]) -> None:
    broker, archive = FakeBroker([b"%d" % n for n in range(5)]), FakeArchive()
    running = ingest(broker, archive)
    archive.before = lambda: broker.sessions[0].end(EndCause.LOST, "cut")
    task = asyncio.create_task(running.run())
    await until(lambda: len(broker.acked) == 5)
    await running.stop()
    await task
    assert "stale_ack" in logged
    assert "connection_lost" in logged
    unmarked = [event.body for event in archive.events if not event.duplicate]
    assert sorted(unmarked) == sorted(set(unmarked)) == sorted(b"%d" % n for n in range(5))
    assert {event.duplicate for event in archive.events if event.body == archive.events[0].body} == {
        "",
        "one-00000001:0",
    }
    assert not running.settled
    assert "duplicates_marked" in logged


async def test_a_stop_after_a_lost_connection_is_not_settled(logged: list[str]) -> None:
    """The run ends cleanly, but its last ack was not sent."""
    broker, archive = FakeBroker([b"1"]), FakeArchive()
    running = ingest(broker, archive)
    archive.before = lambda: broker.sessions[0].end(EndCause.LOST, "cut")
    broker.gone_for_good = True
    task = asyncio.create_task(running.run())
    await until(lambda: len(archive.events) == 1 and "connect_failed" in logged)
    await running.stop()
    await task
    assert not running.settled


@pytest.mark.parametrize("settled", [False, True])
async def test_a_crash_is_not_settled_by_new_messages_but_by_time(settled: bool, logged: list[str]) -> None:
    """The broker may return the messages of a dead channel after it has delivered new ones."""
    broker, archive = FakeBroker([b"1", b"2"]), FakeArchive()
    broker.waiting[0] = (b"1", True)
    times = [0.0]
    running = ingest(broker, archive, replace(SETTINGS, unsettled=True), lambda: times[0])
    task = asyncio.create_task(running.run())
    await until(lambda: len(broker.acked) == 2)
    times[0] = KNOWN_S if settled else KNOWN_S - 1
    await running.stop()
    await task
    assert running.settled == settled


@pytest.mark.parametrize("lost", [False, True])
async def test_a_stop_without_an_answer_of_the_broker_is_not_settled(lost: bool, logged: list[str]) -> None:
    broker, archive = FakeBroker([b"1"]), FakeArchive()
    broker.lost_in_release = lost
    running = ingest(broker, archive)
    task = asyncio.create_task(running.run())
    await until(lambda: broker.acked == [b"1"])
    await running.stop()
    await task
    assert running.settled == (not lost)


async def test_a_fatal_error_ends_the_service_at_the_first_start(logged: list[str]) -> None:
    broker = FakeBroker()
    broker.faults = [Retry("not there"), Fatal(Exit.ACCESS, "refused")]
    with pytest.raises(Fatal, match="refused"):
        await ingest(broker, FakeArchive()).run()
    assert "connect_failed" in logged


@pytest.mark.parametrize("place", ["open", "consume"])
async def test_after_the_first_consumer_a_fatal_error_is_retried(logged: list[str], place: str) -> None:
    broker, archive = FakeBroker([b"1"]), FakeArchive()
    running = ingest(broker, archive)
    task = asyncio.create_task(running.run())
    await until(lambda: broker.acked == [b"1"])
    fault = Fatal(Exit.ACCESS, "refused for a while")
    if place == "open":
        broker.faults = [fault]
    else:
        broker.consume_fault = fault
    broker.waiting = [(b"2", False)]
    broker.sessions[0].end(EndCause.LOST, "cut")
    await until(lambda: broker.acked == [b"1", b"2"])
    await running.stop()
    await task


async def test_after_an_unclean_end_the_prefetch_is_reduced_until_a_commit(logged: list[str]) -> None:
    broker = FakeBroker([b"x"] * 3)
    running = ingest(broker, FakeArchive(), IngestSettings(SETTINGS.limits, 64, prefetch_reductions=2, retry_s=0.001))
    task = asyncio.create_task(running.run())
    await until(lambda: "widened" in logged)
    await running.stop()
    await task
    assert broker.windows == [4, 64]


async def test_generations_without_a_commit_reduce_the_prefetch(logged: list[str]) -> None:
    """Each lost connection costs every message of the prefetch a delivery."""
    broker, archive = FakeBroker([b"x"] * 200), FakeArchive()

    def cut() -> None:
        if len(broker.sessions) < 4:
            broker.sessions[-1].end(EndCause.LOST, "cut")

    archive.before = cut
    running = ingest(broker, archive)
    task = asyncio.create_task(running.run())
    await until(lambda: len(broker.acked) == 200)
    await running.stop()
    await task
    assert broker.windows == [64, 16, 4, 1, 64]


async def test_a_second_stall_in_a_row_ends_the_service(logged: list[str]) -> None:
    broker = FakeBroker([b"x"])
    broker.silent = True
    with pytest.raises(Fatal, match="no message is delivered, although the queue has 1") as caught:
        await ingest(broker, FakeArchive(), IngestSettings(SETTINGS.limits, 64, watchdog_s=0.01, retry_s=0.001)).run()
    assert caught.value.exit is Exit.STALLED
    assert logged.count("stalled") == 2
    assert len(broker.sessions) == 2


async def test_an_empty_queue_is_no_stall(logged: list[str]) -> None:
    broker = FakeBroker()
    running = ingest(broker, FakeArchive(), IngestSettings(SETTINGS.limits, 64, watchdog_s=0.01))
    task = asyncio.create_task(running.run())
    await until(lambda: broker.asked >= 3)
    await running.stop()
    await task
    assert "stalled" not in logged


async def test_a_watcher_that_fails_ends_the_generation_with_its_error(logged: list[str]) -> None:
    broker = FakeBroker()
    running = ingest(broker, FakeArchive(), IngestSettings(SETTINGS.limits, 64, watchdog_s=0.01, retry_s=0.001))
    task = asyncio.create_task(running.run())
    await until(lambda: bool(broker.sessions))

    async def fail() -> int:
        raise ZeroDivisionError

    broker.sessions[0].messages_ready = fail  # type: ignore[method-assign]
    await until(lambda: len(broker.sessions) == 2)
    assert broker.sessions[0].ended.result().reason == "ZeroDivisionError()"
    await running.stop()
    await task


async def test_a_session_that_opens_during_stop_is_released(logged: list[str]) -> None:
    """`stop` does not see the generation yet, so `run` must end it."""
    broker = FakeBroker([b"1"])
    running = ingest(broker, FakeArchive())
    opened = broker.open

    async def open_and_stop(sink: Callable[[list[Delivery], bool], None]) -> FakeSession:
        session = await opened(sink)
        await running.stop()
        return session

    broker.open = open_and_stop  # type: ignore[method-assign]
    async with asyncio.timeout(10):
        await running.run()
    assert (len(broker.sessions), broker.sessions[0].acks_arrived, len(broker.waiting)) == (1, True, 1)


async def test_at_the_deadline_held_messages_are_returned(logged: list[str]) -> None:
    broker, archive = FakeBroker([b"%d" % n for n in range(5)]), FakeArchive()
    begun = asyncio.Event()

    async def stuck(_: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    archive.append = stuck  # type: ignore[assignment, method-assign]
    running = ingest(broker, archive)
    task = asyncio.create_task(running.run())
    await begun.wait()
    await running.stop()
    assert await running.release() == 5
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(broker.waiting) == 5


async def test_the_wait_doubles_from_one_pause_to_the_next_until_a_commit(logged: list[str]) -> None:
    """The probe succeeds and the batch fails. Each cycle costs every message a return."""
    broker, archive = FakeBroker([b"x"]), FakeArchive()
    archive.faults = 4
    running = ingest(broker, archive, IngestSettings(SETTINGS.limits, 64, retry_s=0.001, retry_s_max=1.0))
    waits: list[float] = []

    async def probe(size: int = 0) -> None:
        if not size:
            raise StorageFault(StorageReason.DISK_FULL, "full", "free space")
        waits.append(running._pause_s)

    archive.probe = probe  # type: ignore[method-assign]
    task = asyncio.create_task(running.run())
    await until(lambda: broker.acked == [b"x"])
    assert waits == [0.002, 0.004, 0.008, 0.016]
    await until(lambda: running.generation is not None and running.generation.commits == 1)
    await running.stop()
    await task
    assert running._pause_s == 0.001


async def test_with_a_message_near_its_limit_ingest_reconnects_only_after_a_successful_probe(
    logged: list[str],
) -> None:
    broker, archive = FakeBroker([b"x"]), FakeArchive()
    broker.delivery_limit = 1
    archive.faults = 1
    archive.probes = -(10**6)
    running = ingest(broker, archive)
    task = asyncio.create_task(running.run())
    await until(lambda: "withheld" in logged)
    assert running.state == "paused"
    broker.sessions[0].end(EndCause.LOST, "cut")
    await until(lambda: "connection_lost" in logged)
    lost = logged.index("connection_lost")
    await until(lambda: "still_paused" in logged[lost:])
    assert len(broker.sessions) == 1
    archive.probes = 3
    await until(lambda: broker.acked == [b"x"])
    assert archive.probed[-1] > 0
    await running.stop()
    await task


async def test_a_queue_without_any_delivery_is_reported_once(logged: list[str]) -> None:
    broker = FakeBroker()
    running = ingest(broker, FakeArchive(), IngestSettings(SETTINGS.limits, 64, watchdog_s=0.01))
    task = asyncio.create_task(running.run())
    await until(lambda: "nothing_delivered" in logged)
    asked = broker.asked
    await until(lambda: broker.asked >= asked + 3)
    await running.stop()
    await task
    assert logged.count("nothing_delivered") == 1


@pytest.mark.parametrize(("exchange", "key", "count"), [("exchange", "key", 0), ("exchange", "b", 1), ("", "q", 1)])
async def test_a_message_that_no_binding_explains_is_reported_once(
    logged: list[str], monkeypatch: pytest.MonkeyPatch, exchange: str, key: str, count: int
) -> None:
    broker = FakeBroker([b"1", b"2", b"3"])
    made = delivery
    monkeypatch.setitem(
        globals(), "delivery", lambda *a, **k: made(*a, **k)._replace(exchange=exchange, routing_key=key)
    )
    running = ingest(broker, FakeArchive())
    task = asyncio.create_task(running.run())
    await until(lambda: len(broker.acked) == 3)
    await running.stop()
    await task
    assert logged.count("unexpected_binding") == count
