"""When the socket of a connection is read, and how long it rests after a read.

Role: the gate between the stream reader and the socket. Invariant: the socket is read only if no reason to stop is left.
The reasons are the bound on held bytes, a rest after a read, and a full buffer of the library.
"""

import asyncio

REST_S = 0.003
REST_S_MAX = 0.06
REST_MESSAGES = 6
BUSY_GAP_S = 0.0005


class Gate(asyncio.ReadTransport):
    """The socket is read only while no one of those in `reasons` has stopped it.

    The stream reader's base class pauses and resumes the transport for its own buffer. It gets this gate as its transport,
    so its resume ends only its own pause.
    """

    def __init__(self) -> None:
        super().__init__()
        self._socket: asyncio.ReadTransport | None = None
        self._reasons: set[str] = set()

    def connect(self, socket: asyncio.ReadTransport) -> None:
        """The connection is made; it starts as the reasons say."""
        self._socket = socket
        self._read_or_not()

    def stop(self, reason: str) -> None:
        """Read no more until `allow` of the same reason."""
        self._reasons.add(reason)
        self._read_or_not()

    def allow(self, reason: str) -> None:
        """The reason is gone; the socket is read again if it was the last one."""
        self._reasons.discard(reason)
        self._read_or_not()

    def pause_reading(self) -> None:
        """Called by the base class: its buffer is full."""
        self.stop("library")

    def resume_reading(self) -> None:
        """Called by the base class: its buffer is empty enough."""
        self.allow("library")

    def _read_or_not(self) -> None:
        if self._socket is None or self._socket.is_closing():
            return
        if self._reasons:
            self._socket.pause_reading()
        else:
            self._socket.resume_reading()


def rest_s(gap_s: float, window: int) -> float:
    """How long to rest after a read, if messages come `gap_s` apart and at most `window` are sent before the first ack.

    As long as a few messages take, so that they share one wake, one write and one sync. From 1,000 messages a second on they
    share one anyway, and the rest is short. A message that comes alone is not followed by a rest, so it and the next one
    wait for nothing. In a small window the broker itself waits for the acks of these messages: a rest for more than a part of
    the window would make the gaps longer, and they the next rest.
    """
    messages = min(REST_MESSAGES, window // 4)
    if not messages or gap_s > REST_S_MAX:
        return 0.0
    return min(max(messages * (gap_s - BUSY_GAP_S), REST_S), REST_S_MAX)
