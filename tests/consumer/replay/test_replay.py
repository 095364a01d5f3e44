"""The loop of a replay, with a publisher that does what the test says. The tests with a broker are those of the command."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

import pytest

from consumer.amqp.outgoing import Outgoing
from consumer.amqp.settled import Numbered, Outcome, Settled
from consumer.errors import DeedboxError, Exit, Fatal, Retry
from consumer.replay import replay as module
from consumer.replay.pace import Pace
from consumer.replay.receipts import ArchiveHead
from consumer.replay.replay import OnSettled, Replay
from consumer.replay.selection import Selected
from consumer.replay.target import Unpublishable

ARCHIVE = ArchiveHead("a1-00000001", "head")
FREE = Pace()


def selected(number: int, message: Outgoing | Unpublishable | None = None) -> Selected:
    return Selected(ARCHIVE, number, number, "e", "k", message or Outgoing("e", "k", b"\0\0", b"%d" % number))


def chunks(count: int, size: int = 10) -> Callable[[], list[Selected]]:
    waiting = [selected(number) for number in range(count)]

    def take() -> list[Selected]:
        found = waiting[:size]
        del waiting[:size]
        return found

    return take


class Broker:
    """Confirms every message when it is drained or when `window` of them wait. `script`: called with each connection, before it sends.

    `outcomes`: other outcomes than a confirm, by number of the message. `lost_after`: each connection is lost after this many messages, without
    an outcome for the last `window` of them.
    """

    def __init__(self, window: int = 5) -> None:
        self.window = window
        self.sent: list[list[int]] = []  # of each connection
        self.outcomes: dict[int, Outcome] = {}
        self.lost_after: list[int] = []
        self.refusals: list[DeedboxError] = []  # of the next attempts to connect
        self.sending = asyncio.Event()
        self.go_on: asyncio.Event | None = None  # `drain` waits for it

    def connect(self, on_settled: OnSettled) -> "Connection":
        return Connection(self, on_settled)


class Connection:
    def __init__(self, broker: Broker, on_settled: OnSettled) -> None:
        self.blocked = ""
        self._broker, self._on_settled, self._open = broker, on_settled, list[int]()

    async def __aenter__(self) -> Self:
        if self._broker.refusals:
            raise self._broker.refusals.pop(0)
        self._broker.sent.append([])
        self._left = self._broker.lost_after.pop(0) if self._broker.lost_after else None
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None: ...

    async def send(self, numbered: Sequence[Numbered]) -> None:
        self._broker.sending.set()
        for number, _message in numbered:
            if self._left is not None and len(self._broker.sent[-1]) == self._left:
                raise Retry("lost")
            self._broker.sent[-1].append(number)
            self._open.append(number)
            if len(self._open) > self._broker.window:
                self._settle(self._open.pop(0))
        await asyncio.sleep(0)

    async def drain(self) -> None:
        if self._broker.go_on is not None:
            await self._broker.go_on.wait()
        while self._open:
            self._settle(self._open.pop(0))

    def _settle(self, number: int) -> None:
        outcome = self._broker.outcomes.get(number, Outcome.CONFIRMED)
        self._on_settled([Settled(number, outcome, "" if outcome is Outcome.CONFIRMED else "reason")])


class Run:
    """A replay, what it said, and the receipts that it stored."""

    def __init__(
        self, broker: Broker, take: Callable[[], list[Selected]], pace: Pace = FREE, failure: DeedboxError | None = None
    ) -> None:
        self.said: list[str] = []
        self.stored: list[int] = []
        self.failure = failure
        self.checks = 0
        self.replay = Replay(take, broker.connect, self.check, pace, self.store, self.said.append)

    async def check(self) -> None:
        self.checks += 1

    def store(self, confirmed: Mapping[ArchiveHead, Sequence[int]]) -> None:
        if self.failure is not None:
            raise self.failure
        self.stored += confirmed[ARCHIVE]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_S_MIN", 0.001)
    monkeypatch.setattr(module, "STORE_S", 0.05)


async def test_everything_is_sent_in_order_and_gets_a_receipt() -> None:
    broker = Broker()
    run = Run(broker, chunks(95))
    await run.replay.run(1.0)
    assert broker.sent == [list(range(95))]
    assert (sorted(run.stored), run.replay.report.confirmed, run.checks, run.said) == (list(range(95)), 95, 1, [])


async def test_what_was_not_settled_is_sent_again_first_after_a_lost_connection() -> None:
    broker = Broker(window=5)
    broker.lost_after = [13, 4]
    broker.refusals = []
    run = Run(broker, chunks(40))
    await run.replay.run(1.0)
    first, second, third = broker.sent
    assert first == list(range(13))
    assert second == [8, 9, 10, 11]  # 0 to 7 were confirmed; then it is lost again, and nothing was confirmed
    assert third == list(range(8, 40))
    assert (sorted(run.stored), run.replay.unsettled, run.checks) == (list(range(40)), 0, 1)
    assert [line.partition(";")[0] for line in run.said] == ["not connected: lost"] * 2


async def test_pauses_grow_while_nothing_is_settled() -> None:
    broker = Broker()
    broker.refusals = [Retry("no answer") for _ in range(4)]
    run = Run(broker, chunks(3))
    await run.replay.run(1.0)
    assert [line.rpartition(" in ")[2] for line in run.said] == ["0.002 s", "0.004 s", "0.008 s", "0.016 s"]


async def test_a_fatal_fault_ends_it_before_the_first_connection_and_not_later() -> None:
    broker = Broker()
    broker.refusals = [Fatal(Exit.ACCESS, "no user")]
    with pytest.raises(Fatal, match="no user"):
        await Run(broker, chunks(3)).replay.run(1.0)
    broker = Broker()
    broker.lost_after = [2]
    run = Run(broker, chunks(30))
    real = broker.connect

    def connect(on_settled: OnSettled) -> Connection:
        if len(broker.sent) == 1 and not run.said:
            broker.refusals = [Fatal(Exit.ACCESS, "no user any more")]
        return real(on_settled)

    broker.connect = connect  # type: ignore[method-assign]  # this object only
    run.replay = Replay(chunks(30), connect, run.check, FREE, run.store, run.said.append)
    broker.refusals = []
    await run.replay.run(1.0)
    assert run.replay.report.confirmed == 30


async def test_unroutable_refused_and_unpublishable_events_are_listed_and_get_no_receipt() -> None:
    broker = Broker()
    broker.outcomes = {1: Outcome.UNROUTABLE, 2: Outcome.REFUSED}
    events = [selected(0), selected(1), selected(7, Unpublishable("too long")), selected(2), selected(3)]
    waiting = [events]
    run = Run(broker, lambda: waiting.pop() if waiting else [])
    await run.replay.run(1.0)
    assert sorted(run.stored) == [0, 3]
    assert [line.split(": exchange")[0] for line in run.replay.report.problems] == [
        "not publishable: a1-00000001:7", "unroutable: a1-00000001:1", "refused: a1-00000001:2"
    ]  # fmt: skip


async def test_after_a_stop_nothing_is_sent_and_the_outcomes_are_awaited() -> None:
    broker = Broker()
    broker.go_on = asyncio.Event()
    run = Run(broker, chunks(1_000_000, size=1))
    running = asyncio.create_task(run.replay.run(30.0))
    await broker.sending.wait()
    run.replay.stop()
    await asyncio.sleep(0.01)
    sent = len(broker.sent[0])
    assert not running.done()
    broker.go_on.set()
    await running
    assert len(broker.sent[0]) - sent <= 1
    assert sorted(run.stored) == broker.sent[0]


async def test_a_stop_ends_also_if_the_broker_does_not_answer() -> None:
    broker = Broker()
    broker.go_on = asyncio.Event()
    run = Run(broker, chunks(1_000_000, size=1))
    running = asyncio.create_task(run.replay.run(0.05))
    await broker.sending.wait()
    run.replay.stop()
    await running
    assert 0 < run.replay.unsettled <= 6
    assert sorted(run.stored) == broker.sent[0][: -run.replay.unsettled]


async def test_receipts_that_cannot_be_stored_end_it() -> None:
    broker = Broker()
    run = Run(broker, chunks(1_000_000, size=1), failure=DeedboxError("disk full"))
    with pytest.raises(DeedboxError, match="disk full"):
        await asyncio.wait_for(run.replay.run(1.0), 30)


async def test_a_fault_of_reading_is_raised_after_what_was_read_is_confirmed() -> None:
    broker = Broker()
    good = chunks(20)

    def take() -> list[Selected]:
        found = good()
        if not found:
            raise DeedboxError("unreadable")
        return found

    run = Run(broker, take)
    with pytest.raises(DeedboxError, match="unreadable"):
        await run.replay.run(1.0)
    assert sorted(run.stored) == list(range(20))


async def test_a_pace_holds_for_messages_that_are_sent_again_too() -> None:
    broker = Broker(window=50)
    broker.lost_after = [30]
    run = Run(broker, chunks(60), Pace(rate=200))
    begin_s = asyncio.get_running_loop().time()
    await run.replay.run(5.0)
    seconds = asyncio.get_running_loop().time() - begin_s
    assert sum(map(len, broker.sent)) == 90
    assert seconds >= (90 - 1) / 200 - 0.05 - 0.01


async def test_an_alarm_of_the_broker_is_reported_once() -> None:
    broker = Broker()
    broker.go_on = asyncio.Event()
    connections: list[Connection] = []

    def connect(on_settled: OnSettled) -> Connection:
        connections.append(Connection(broker, on_settled))
        return connections[-1]

    run = Run(broker, chunks(3))
    run.replay = Replay(chunks(3), connect, run.check, FREE, run.store, run.said.append)
    running = asyncio.create_task(run.replay.run(5.0))
    await broker.sending.wait()
    connections[0].blocked = "low on memory"
    async with asyncio.timeout(10):
        while not run.said:
            await asyncio.sleep(0.01)
    connections[0].blocked = ""
    async with asyncio.timeout(10):
        while len(run.said) < 2:
            await asyncio.sleep(0.01)
    broker.go_on.set()
    await running
    assert run.said == ["the broker accepts no messages now: low on memory", "the broker accepts messages again"]
