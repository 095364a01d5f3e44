"""When the next event may be sent: at the speed at which the events happened, and below a rate. Pure: the caller gives the time.

Invariants: with a rate of N a second, no span of T seconds has more than N * (T + BURST_S) + 1 events. With a speed, no event is sent before its
time. If sending is late by more than LATE_S, for example after an outage, the schedule moves: the events that waited are not sent all at once.
"""

from consumer.errors import Exit, Fatal

BURST_S = 0.05  # timers of the system are late by a few milliseconds: a rate may make up for this much
LATE_S = 1.0


class Pace:
    """`speed`: 1 as it was, 10 ten times as fast. `rate`: events a second. None: no limit. Raises Fatal for a value that is not above 0."""

    def __init__(self, speed: float | None = None, rate: float | None = None) -> None:
        for option, value in (("--speed", speed), ("--rate", rate)):
            if value is not None and not 0 < value < float("inf"):
                raise Fatal(Exit.SETTINGS, f"{option} {value:g}", "use a number above 0")
        self._speed, self._rate = speed, rate
        self._begin: tuple[int, float] | None = None  # an event time in microseconds, and when it is due
        self._next_s = float("-inf")  # when the rate allows the next event, if none comes early

    @property
    def is_free(self) -> bool:
        """Whether every event may be sent at once."""
        return self._speed is None and self._rate is None

    def wait_s(self, time_us: int, now_s: float) -> float:
        """How many seconds the next event must wait; 0: it counts as sent now. `time_us`: its event time; `now_s`: of a steady clock."""
        wait_s = max(self._until_due_s(time_us, now_s), self._until_allowed_s(now_s))
        if wait_s <= 0 and self._rate is not None:
            self._next_s = max(self._next_s, now_s) + 1 / self._rate
        return max(wait_s, 0.0)

    def _until_due_s(self, time_us: int, now_s: float) -> float:
        if self._speed is None:
            return 0.0
        if self._begin is None:
            self._begin = time_us, now_s
        first_us, begin_s = self._begin
        until_s = begin_s + (time_us - first_us) / 1e6 / self._speed - now_s
        if until_s < -LATE_S:
            self._begin = time_us, now_s
        return until_s

    def _until_allowed_s(self, now_s: float) -> float:
        return self._next_s - BURST_S - now_s


def parse_rate(text: str) -> float:
    """Events a second from `500` or `500/s`. Raises Fatal."""
    try:
        return float(text.strip().removesuffix("/s"))
    except ValueError as error:
        raise Fatal(Exit.SETTINGS, f"--rate {text!r} is no rate", "write events a second, such as 500/s") from error
