"""The loop of a replay: selected events are sent with confirms, and receipts are stored for the confirmed ones.

Invariants: an event is settled once: confirmed, unroutable or refused. After a lost connection, the events without an outcome are sent again,
before all others. A receipt is stored only after the confirm, at the latest STORE_S later; if storing takes longer than another STORE_S, nothing is
sent until it has returned. So a process that is killed has sent at most this without a receipt: the window of the publisher, and what was
confirmed within 2 * STORE_S.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Protocol

from consumer.amqp.outgoing import Outgoing
from consumer.amqp.settled import Numbered, Outcome, Settled
from consumer.disk.worker_thread import StepThread
from consumer.errors import DeedboxError, Fatal, Retry
from consumer.replay.pace import Pace
from consumer.replay.receipts import ArchiveHead
from consumer.replay.report import Problem, Report
from consumer.replay.selection import Selected

STORE_S = 1.0
WAIT_S_MIN, WAIT_S_MAX = 0.5, 30.0  # between two attempts to connect
_PROBLEMS = {Outcome.UNROUTABLE: Problem.UNROUTABLE, Outcome.REFUSED: Problem.REFUSED}


class Publishing(Protocol):
    """The part of `ConfirmedPublisher` that a replay uses."""

    blocked: str

    async def send(self, numbered: Sequence[Numbered]) -> None:
        """As `ConfirmedPublisher.send`."""
        ...

    async def drain(self) -> None:
        """As `ConfirmedPublisher.drain`."""
        ...


OnSettled = Callable[[list[Settled]], None]
Connect = Callable[[OnSettled], AbstractAsyncContextManager[Publishing]]
Store = Callable[[Mapping[ArchiveHead, Sequence[int]]], None]


class Replay:
    """One replay. Call `run` once.

    `take`: the next selected events, none at the end; called in a thread. `connect`: a publisher that reports to the given function. `check`: called after the
    first connection; may raise Fatal. `store`: makes receipts durable; called in a thread. `say`: prints a line for a person.
    """

    def __init__(
        self,
        take: Callable[[], list[Selected]],
        connect: Connect,
        check: Callable[[], Awaitable[None]],
        pace: Pace,
        store: Store | None,
        say: Callable[[str], None],
    ) -> None:
        self.report = Report()
        self._take, self._connect, self._check, self._pace, self._store, self._say = (
            take,
            connect,
            check,
            pace,
            store,
            say,
        )
        self._reader, self._writer = StepThread("deedbox-replay-read"), StepThread("deedbox-replay-receipts")
        self._stopping, self._ended = asyncio.Event(), asyncio.Event()
        self._serial = 0
        self._waiting: dict[int, Selected] = {}  # sent without an outcome, in order
        self._again: deque[int] = deque()  # those of `_waiting` that must be sent again
        self._chunk: deque[Selected] = deque()
        self._reading: asyncio.Future[list[Selected]] | None = None
        self._failure: Exception | None = None  # of reading
        self._confirmed: dict[ArchiveHead, list[int]] = {}  # without a receipt
        self._storing = asyncio.Lock()
        self._storing_since_s = float("inf")
        self._was_connected = False
        self._publisher: Publishing | None = None

    @property
    def unsettled(self) -> int:
        """How many events were sent and have no outcome."""
        return len(self._waiting)

    def stop(self) -> None:
        """Send nothing more. `run` waits for the outcomes of what was sent."""
        self._stopping.set()

    async def run(self, drain_s: float) -> None:
        """Publish everything, or after `stop` wait for at most `drain_s` seconds. Receipts are stored in any case.

        Raises Fatal for a fault that a person must repair, and DeedboxError or OSError if reading or storing fails.
        """
        working = asyncio.create_task(self._publish())
        storing = asyncio.create_task(self._keep_storing())
        stopped = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([working, storing, stopped], return_when=asyncio.FIRST_COMPLETED)
            self._stopping.set()
            await asyncio.wait([working], timeout=drain_s)
            if working.done():
                working.result()
        finally:
            self._ended.set()
            working.cancel()
            await asyncio.gather(working, storing, stopped, return_exceptions=True)
            await self._store_confirmed()
        if self._failure is not None:
            raise self._failure

    async def _publish(self) -> None:
        """Connect and send, again and again until everything has an outcome or it is stopped."""
        wait_s = WAIT_S_MIN
        while True:
            before = self._serial - len(self._waiting)
            try:
                async with self._connect(self._settle) as publisher:
                    if not self._was_connected:
                        await self._check()
                    self._was_connected, self._publisher = True, publisher
                    self._again = deque(self._waiting)
                    await self._send_all(publisher)
                    await publisher.drain()
                return
            except (Fatal, Retry) as fault:
                if isinstance(fault, Fatal) and not self._was_connected:
                    raise
                reason = fault.what
            finally:
                self._publisher = None
            if self._stopping.is_set():
                return
            wait_s = WAIT_S_MIN if self._serial - len(self._waiting) > before else min(2 * wait_s, WAIT_S_MAX)
            self._say(f"not connected: {reason}; trying again in {wait_s:g} s")
            await self._pause(wait_s)

    async def _send_all(self, publisher: Publishing) -> None:
        while not self._stopping.is_set():
            group = await self._next_group()
            if not group:
                return
            if asyncio.get_running_loop().time() - self._storing_since_s > STORE_S:
                async with self._storing:
                    pass  # until the receipts are durable
            await publisher.send(group)

    async def _next_group(self) -> list[Numbered]:
        """The next messages that may be sent now; none at the end, and after a stop."""
        group: list[Numbered] = []
        while not self._stopping.is_set() and (self._again or await self._fill()):
            if self._pace.is_free:
                return [self._pop() for _ in range(len(self._again or self._chunk))]
            time_us = self._waiting[self._again[0]].time_us if self._again else self._chunk[0].time_us
            wait_s = self._pace.wait_s(time_us, asyncio.get_running_loop().time())
            if wait_s <= 0:
                group.append(self._pop())
            if group and (wait_s > 0 or not (self._again or self._chunk)):
                break
            if wait_s > 0:
                await self._pause(wait_s)
        return group

    def _pop(self) -> Numbered:
        """The next message and its number; from now on it waits for its outcome."""
        if self._again:
            number = self._again.popleft()
            event = self._waiting[number]
        else:
            number, event = self._serial, self._chunk.popleft()
            self._serial += 1
            self._waiting[number] = self.report.last = event
        assert isinstance(event.message, Outgoing), "others are not in the chunk"
        return number, event.message

    async def _fill(self) -> bool:
        """Wait until there is an event in the chunk. Returns whether there is one: not at the end, and not after a stop."""
        while not self._chunk and self._failure is None:
            self._reading = self._reading or self._begin_reading()
            stopped = asyncio.ensure_future(self._stopping.wait())
            both: list[asyncio.Future[Any]] = [self._reading, stopped]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if not self._reading.done():
                return False
            try:
                found = self._reading.result()
            except (DeedboxError, OSError) as error:
                self._failure = error  # raised when what was sent has its outcome
                return False
            if not found:
                return False
            self._reading = self._begin_reading()
            self._chunk.extend(filter(self._is_message, found))
        return bool(self._chunk)

    def _begin_reading(self) -> "asyncio.Future[list[Selected]]":
        reading = asyncio.ensure_future(self._reader.run(self._take))
        reading.add_done_callback(
            lambda done: done.cancelled() or done.exception()
        )  # after a stop, nothing waits for it
        return reading

    def _is_message(self, event: Selected) -> bool:
        if isinstance(event.message, Outgoing):
            return True
        self.report.note(event, Problem.UNPUBLISHABLE, event.message.reason)
        return False

    def _settle(self, settled: list[Settled]) -> None:
        for number, outcome, reason in settled:
            event = self._waiting.pop(number)
            if outcome is Outcome.CONFIRMED:
                self.report.confirm(event)
                if self._store is not None:
                    self._confirmed.setdefault(event.archive, []).append(event.number)
            else:
                self.report.note(event, _PROBLEMS[outcome], reason)

    async def _keep_storing(self) -> None:
        """Store receipts, and report an alarm of the broker, until the replay has ended."""
        blocked = ""
        while not self._ended.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), STORE_S)
            now = self._publisher.blocked if self._publisher is not None else ""
            if now != blocked:
                self._say(f"the broker accepts no messages now: {now}" if now else "the broker accepts messages again")
                blocked = now
            await self._store_confirmed()

    async def _store_confirmed(self) -> None:
        async with self._storing:
            confirmed, self._confirmed = self._confirmed, {}
            store = self._store
            if store is None or not confirmed:
                return
            self._storing_since_s = asyncio.get_running_loop().time()
            await self._writer.run(lambda: store(confirmed))
            self._storing_since_s = float("inf")

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
