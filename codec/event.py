"""Event, the one value that everything passes around.

Invariant: `exchange`, `routing_key`, `header` and `body` hold the delivery exactly; `id`, `type`, `time_us` and `tags`
describe it and may be derived from it again. Text that is not UTF-8 on the wire is kept by `surrogateescape` (PEP 383). An
imported event may hold any other lone surrogate too; `codec.amqp.encode_text` gives bytes for every text.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from codec.errors import Corrupt, TooLarge

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIME_US_MIN = -62_135_596_800_000_000  # 0001-01-01T00:00:00Z, the first instant that `datetime` holds
TIME_US_MAX = 253_402_300_799_999_999  # 9999-12-31T23:59:59.999999Z, the last


class Event(NamedTuple):
    """One archived delivery.

    A named tuple and not a dataclass: one is made for every message, and a frozen dataclass of this size costs
    five times as much to make.
    """

    id: str
    type: str
    time_us: int  # when it happened: microseconds since 1970, UTC
    arrived_us: int  # when it was received: microseconds since 1970, UTC
    exchange: str
    routing_key: str
    header: bytes  # the AMQP content header from its property flags on, as the broker sent it
    body: bytes
    redelivered: bool = False
    duplicate: str = (
        ""  # the position of the first archived event that this redelivery is equal to; empty if there is none
    )
    tags: tuple[str, ...] = ()


_POSITION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}-[0-9]{8,19}:[0-9]{1,19}")


def check_duplicate(duplicate: object) -> str:
    """The mark of an event, as it came from outside: a position, as `a1-00000007:41`, or empty. Raises Corrupt."""
    if not isinstance(duplicate, str) or (duplicate and not _POSITION.fullmatch(duplicate)):
        raise Corrupt(f"duplicate is {duplicate!r:.99}, a position like a1-00000007:41 is expected")
    return duplicate


@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    return (EPOCH + timedelta(seconds=seconds)).isoformat()[:19]


def format_time(time_us: int) -> str:
    """Microseconds since 1970 as `2026-11-21T16:15:00.123456Z`. Raises TooLarge outside of the years 1 to 9999."""
    if not TIME_US_MIN <= time_us <= TIME_US_MAX:
        raise TooLarge(f"time {time_us} us is outside of the years 1 to 9999")
    seconds, fraction = divmod(time_us, 1_000_000)
    return f"{_second(seconds)}.{fraction:06d}Z"


def parse_time(text: str) -> int:
    """The inverse of `format_time`, and any ISO 8601 instant with a zone. Raises Corrupt."""
    try:
        instant = datetime.fromisoformat(text)
    except (ValueError, TypeError) as error:
        raise Corrupt(f"time {text!r} is not ISO 8601") from error
    if instant.tzinfo is None:
        raise Corrupt(f"time {text!r} has no zone")
    return (instant - EPOCH) // timedelta(microseconds=1)
