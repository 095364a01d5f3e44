"""The bandwidth limit of all uploads of a process together, and the pauses after failures. Pure: the time is an argument.

Invariant: between any two moments no more bytes are allowed than the limit times the time between them, plus one piece for each upload.
"""

import threading
from dataclasses import dataclass, field

PAUSE_S_MIN = 1.0
PAUSE_S_MAX = 300.0


class Bandwidth:
    """The limit in bytes a second; 0: no limit. It is used by several threads."""

    def __init__(self, bytes_per_s: int) -> None:
        self._bytes_per_s = bytes_per_s
        self._free_at = float("-inf")
        self._lock = threading.Lock()

    def reserve(self, size: int, now: float) -> float:
        """Reserve the time of `size` bytes. Returns how many seconds to wait before they are sent."""
        if not self._bytes_per_s:
            return 0.0
        with self._lock:
            start = max(self._free_at, now)
            self._free_at = start + size / self._bytes_per_s
        return start - now


@dataclass
class Backoff:
    """The pauses of one destination: twice as long after each failure, up to PAUSE_S_MAX, until something succeeds."""

    failures: int = 0
    ready_at: float = field(default=float("-inf"))

    def failed(self, now: float) -> float:
        """Note a failure. Returns the length of the pause in seconds."""
        pause_s = min(PAUSE_S_MIN * 2**self.failures, PAUSE_S_MAX)
        self.failures = min(self.failures + 1, 32)
        self.ready_at = now + pause_s
        return float(pause_s)

    def succeeded(self) -> None:
        """Note a success: the next pause is the shortest again."""
        self.failures, self.ready_at = 0, float("-inf")

    def wait_s(self, now: float) -> float:
        """How many seconds of the pause are left."""
        return max(self.ready_at - now, 0.0)
