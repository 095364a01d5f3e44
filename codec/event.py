"""Event, the value that all parts of Deedbox exchange.

Invariant: `exchange`, `routing_key`, `header` and `body` hold the delivery exactly. `id`, `type`, `time_us` and `tags` describe
it and can be derived from it again. Text that is not UTF-8 on the wire is kept by `surrogateescape` (PEP 383). An imported
event may hold other lone surrogates too. `codec.amqp.encode_text` encodes every text.
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

    A named tuple and not a dataclass: an Event is created for every message, and a frozen dataclass of this size takes
    five times as long to create.
    """

    id: str
    type: str
    time_us: int  # when the event happened, in microseconds since 1970-01-01T00:00:00Z
    arrived_us: int  # when Deedbox received it, in the same unit
    exchange: str
    routing_key: str
    header: bytes  # the AMQP content header from the property flags on, as the broker sent it
    body: bytes
    redelivered: bool = False
    duplicate: str = ""  # position of the first archived event that equals this redelivered event; empty if none
    tags: tuple[str, ...] = ()


_POSITION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}-[0-9]{8,19}:[0-9]{1,19}")


def check_duplicate(duplicate: object) -> str:
    """Return the `duplicate` of an event from a file. It must be a position such as `a1-00000007:41`, or empty. Raises Corrupt."""
    if not isinstance(duplicate, str) or (duplicate and not _POSITION.fullmatch(duplicate)):
        raise Corrupt(f"duplicate {duplicate!r:.99} found, a position such as a1-00000007:41 expected")
    return duplicate


@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    return (EPOCH + timedelta(seconds=seconds)).isoformat()[:19]


def format_time(time_us: int) -> str:
    """Microseconds since 1970 as `2026-11-21T16:15:00.123456Z`. Raises TooLarge if the time is outside the years 1 to 9999."""
    if not TIME_US_MIN <= time_us <= TIME_US_MAX:
        raise TooLarge(f"time of {time_us} microseconds since 1970 found, a time in the years 1 to 9999 expected")
    seconds, fraction = divmod(time_us, 1_000_000)
    return f"{_second(seconds)}.{fraction:06d}Z"


def parse_time(text: str) -> int:
    """Microseconds since 1970 of an ISO 8601 time with a time zone: the inverse of `format_time`. Raises Corrupt."""
    try:
        instant = datetime.fromisoformat(text)
    except (ValueError, TypeError) as error:
        raise Corrupt(f"time {text!r} found, ISO 8601 expected") from error
    if instant.tzinfo is None:
        raise Corrupt(f"time {text!r} found, a time with a time zone expected")
    return (instant - EPOCH) // timedelta(microseconds=1)
