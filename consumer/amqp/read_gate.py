"""Control when the socket of a connection is read, and how long to pause after a read.

Role: the gate is between the stream reader and the socket. Several parts may ask for a pause at the same time.
Invariant: the socket is read only while no pause is in force.
"""

import asyncio
from enum import Enum, auto

PAUSE_S_MIN = 0.003
PAUSE_S_MAX = 0.06
PAUSE_MESSAGES = 6
BUSY_GAP_S = 0.0005


class Pause(Enum):
    """Why the socket is not read."""

    HELD_BYTES = auto()  # too many bytes are held
    BETWEEN_READS = auto()  # the next messages are to be read together
    LIBRARY_BUFFER = auto()  # the buffer of asyncio's stream reader is full


class ReadGate(asyncio.ReadTransport):
    """A transport that reads the socket only while no `Pause` is in force.

    asyncio's stream reader pauses and resumes its transport for its own buffer. It gets this gate as its transport, so
    it can end only its own pause.
    """

    def __init__(self) -> None:
        super().__init__()
        self._socket: asyncio.ReadTransport | None = None
        self._pauses: set[Pause] = set()

    def connect(self, socket: asyncio.ReadTransport) -> None:
        """Use this socket from now on. Pauses that are in force apply to it at once."""
        self._socket = socket
        self._apply()

    def pause(self, reason: Pause) -> None:
        """Stop reading until `resume` is called for the same reason."""
        self._pauses.add(reason)
        self._apply()

    def resume(self, reason: Pause) -> None:
        """End one pause. The socket is read again if no other pause is in force."""
        self._pauses.discard(reason)
        self._apply()

    def pause_reading(self) -> None:
        """Called by asyncio's stream reader when its buffer is full."""
        self.pause(Pause.LIBRARY_BUFFER)

    def resume_reading(self) -> None:
        """Called by asyncio's stream reader when its buffer has room again."""
        self.resume(Pause.LIBRARY_BUFFER)

    def _apply(self) -> None:
        if self._socket is None or self._socket.is_closing():
            return
        if self._pauses:
            self._socket.pause_reading()
        else:
            self._socket.resume_reading()


def pause_between_reads_s(gap_s: float, window: int) -> float:
    """Return how long to pause after a read, in seconds.

    `gap_s`: the time between two messages. `window`: how many messages the broker sends before it needs an ack.

    The pause lasts as long as a few messages take to arrive. They then share one wake-up, one write and one sync. Above
    1,000 messages a second they share these anyway, so the pause is short. If messages are rare, there is no pause, because
    it would only delay the next message. In a small window the broker waits for acks. A pause for more than a part
    of the window would make the gaps longer, and longer gaps would make the next pause longer.
    """
    messages = min(PAUSE_MESSAGES, window // 4)
    if not messages or gap_s > PAUSE_S_MAX:
        return 0.0
    return min(max(messages * (gap_s - BUSY_GAP_S), PAUSE_S_MIN), PAUSE_S_MAX)
