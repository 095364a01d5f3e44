"""`ConfirmReader`: the stream reader of a connection for publishing.

Role: it gives the broker's answers to published messages to a sink, at once, and all other frames to the library.
Invariant: the sink gets channel.close before the library does, because after the library has answered it, a frame for this channel
would close the connection.
"""

import asyncio
from collections.abc import Callable

from consumer.amqp.confirm_splitter import Answer, Closed, ConfirmSplitter
from consumer.amqp.frames import HEARTBEAT

KEEPALIVE_S = 1.0
Sink = Callable[[list[Answer]], None]


class ConfirmReader(asyncio.StreamReader):
    """Gives answers to `sink`, and the end of the stream as a `Closed` with code 0. `clock`: seconds from any start."""

    def __init__(self, sink: Sink, loop: asyncio.AbstractEventLoop, clock: Callable[[], float]) -> None:
        super().__init__(loop=loop)
        self._sink, self._clock = sink, clock
        self._splitter = ConfirmSplitter()
        self._last_keepalive = clock()
        self._ended = False

    def feed_data(self, data: bytes) -> None:  # type: ignore[override]  # the stub accepts more types than asyncio passes
        """Called by asyncio with the bytes of one read."""
        answers, others = self._splitter.feed(data)
        if answers:
            self._sink(answers)
        if others:
            super().feed_data(others)
        else:
            self._keepalive()

    def detach(self) -> None:
        """Give the sink nothing more."""
        self._sink = _ignore

    def feed_eof(self) -> None:
        """Called by asyncio at the end of the stream."""
        self._end("the connection was closed")
        super().feed_eof()

    def set_exception(self, exc: Exception) -> None:
        """Called by asyncio when the connection is lost."""
        self._end(str(exc) or type(exc).__name__)
        super().set_exception(exc)

    def _end(self, reason: str) -> None:
        if not self._ended:
            self._ended = True
            self._sink([Closed(0, 0, reason)])

    def _keepalive(self) -> None:
        """Give the library a heartbeat frame, at most once every KEEPALIVE_S seconds.

        While confirms flow the broker sends no heartbeats, and the library does not see the confirms. It would close the connection.
        """
        now = self._clock()
        if now - self._last_keepalive >= KEEPALIVE_S and not self._ended and not self._splitter.passthrough:
            self._last_keepalive = now
            super().feed_data(HEARTBEAT)


def _ignore(_answers: list[Answer]) -> None:
    """The sink of a detached reader."""
