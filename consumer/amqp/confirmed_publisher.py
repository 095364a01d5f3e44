"""`ConfirmedPublisher`: publishes messages byte for byte, and reports what became of each.

Invariants: a number is settled exactly once while the connection lives. A message is CONFIRMED only after the broker has confirmed it.
What is not settled is in `unsettled`, in the order in which it was given. A message that the broker never accepts does not stop the others.
Source: RabbitMQ's guides "Publisher Confirms" and "Blocked Connections".
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from consumer.amqp.confirm_splitter import Answer, Blocked, Closed, Confirm, Returned
from consumer.amqp.publish_frames import CannotEncode
from consumer.amqp.publish_link import PublishLink, open_link
from consumer.amqp.refusals import is_about_a_message, named
from consumer.amqp.settled import Numbered, Outcome, Settled, Window
from consumer.amqp.unconfirmed import Unconfirmed
from consumer.errors import Retry

WRITE_BYTES = 1 << 16  # messages are written together up to about this size


class ConfirmedPublisher:
    """A connection for publishing, used as an async context manager, by one task.

    `context`: the TLS context for an amqps URL. `name`: of the connection at the broker. `on_settled`: called with the messages that were
    settled, in the event loop, while `send` and `drain` wait and also between them; it must not raise or block.
    After Retry or Fatal the publisher cannot be used again: connect another one and send it what is in `unsettled`.
    """

    def __init__(
        self,
        url: str,
        context: ssl.SSLContext | None,
        name: str,
        on_settled: Callable[[list[Settled]], None],
        window: Window,
    ) -> None:
        self._url, self._context, self._name = url, context, name
        self._on_settled, self._window = on_settled, window
        self._link: PublishLink | None = None
        self._queue: deque[Numbered] = deque()  # given by the caller and not written
        self._unconfirmed = Unconfirmed()
        self._closed: Closed | None = None
        self._one_at_a_time = 0  # how many messages are still published one at a time, to find the one that is refused
        self._wake: asyncio.Future[None] | None = None
        self.blocked = ""  # why the broker does not read, if it has an alarm

    async def __aenter__(self) -> Self:
        """Connect. Raises Fatal if a person must change something, and Retry if a later attempt may succeed."""
        self._link = await open_link(self._url, self._context, self._name, self._answered)
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._link is not None:
            await self._link.close(abort=bool(self.blocked or self.lost))

    @property
    def unsettled(self) -> list[int]:
        """The numbers that were given to `send` and are not settled, in this order."""
        return [number for number, _message in [*self._unconfirmed.messages(), *self._queue]]

    async def send(self, numbered: Sequence[Numbered]) -> None:
        """Publish messages under the caller's numbers, which differ. Wait while the window is full. Raises Retry or Fatal."""
        self._queue.extend(numbered)
        await self._work_until(lambda: not self._queue)

    async def drain(self) -> None:
        """Wait until every message is settled. Raises Retry or Fatal."""
        await self._work_until(lambda: not self._queue and not self._unconfirmed)

    async def _work_until(self, done: Callable[[], bool]) -> None:
        while not done():
            if self._closed is not None:
                await self._recover(self._closed)
            elif self._queue and self._has_room():
                await self._write_some()
            else:
                self._wake = asyncio.get_running_loop().create_future()
                await self._wake

    def _has_room(self) -> bool:
        """Return whether a write is worth its price: a quarter of the window is free."""
        if self._one_at_a_time:
            return not self._unconfirmed
        window, held = self._window, self._unconfirmed
        return len(held) <= window.messages * 3 // 4 and held.bytes <= window.bytes * 3 // 4

    async def _write_some(self) -> None:
        """Write the next messages that have room in the window."""
        assert self._link is not None, "connected"
        frames, queue, held = self._link.frames, self._queue, self._unconfirmed
        messages_max = 1 if self._one_at_a_time else self._window.messages
        bytes_max = min(held.bytes + WRITE_BYTES, self._window.bytes)
        pieces: list[bytes] = []
        while queue and len(held) < messages_max and (held.bytes < bytes_max or not pieces):
            number, message = queue.popleft()
            try:
                pieces += frames.of(message)
            except CannotEncode as error:
                self._on_settled([Settled(number, Outcome.REFUSED, str(error))])
                continue
            held.add((number, message))
        self._one_at_a_time = max(0, self._one_at_a_time - 1)
        await self._link.write(b"".join(pieces))

    def _answered(self, answers: list[Answer]) -> None:
        """Take the broker's answers of one read."""
        settled: list[Settled] = []
        for answer in answers:
            match answer:
                case Confirm():
                    settled += self._unconfirmed.confirm(answer)
                case Returned():
                    settled += self._unconfirmed.returned(answer)
                case Blocked():
                    self.blocked = answer.reason
                case Closed():
                    self._closed = self._closed or answer
        if settled:
            self._on_settled(settled)
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    @property
    def lost(self) -> str:
        """Why the connection is gone; empty while it lives. The next `send` raises Retry."""
        return self._closed.text or "closed" if self._closed is not None and not self._closed.channel else ""

    async def _recover(self, closed: Closed) -> None:
        """Settle the messages that the broker refuses, and go on with the others on a new channel. Raises Retry."""
        assert self._link is not None, "connected"
        if not is_about_a_message(closed) or not self._unconfirmed:
            raise Retry(f"{self._link.shown}: {closed.text}")
        suspects = self._unconfirmed.messages()
        self._unconfirmed = Unconfirmed()  # a new channel counts from 1
        refused = suspects if len(suspects) == 1 else named(closed, suspects)
        numbers = {number for number, _message in refused}
        self._queue.extendleft(reversed([one for one in suspects if one[0] not in numbers]))
        if not refused:
            self._one_at_a_time = len(suspects)
        else:
            self._on_settled([Settled(number, Outcome.REFUSED, closed.text) for number, _message in refused])
        if self.lost:
            await self._link.close(abort=False)
            self._closed = None
            self._link = await open_link(self._url, self._context, self._name, self._answered)
        else:
            self._closed = None
            await self._link.open_channel()
