"""What an OpenStack notification says of itself: id, type and time, also inside of the oslo envelope.

Invariant: a body that is no notification says nothing, and never fails.
"""

from typing import NamedTuple

import orjson

from codec.errors import CodecError
from codec.event import TIME_US_MAX, TIME_US_MIN, parse_time
from codec.limits import PARSED_BYTES_MAX, TEXT_CHARACTERS_MAX


class Described(NamedTuple):
    """Empty text and None for what is not said."""

    id: str = ""
    type: str = ""
    time_us: int | None = None


def describe_body(body: bytes) -> Described:
    """Id, type and time of a notification; a body that is longer than any notification says nothing."""
    if len(body) > PARSED_BYTES_MAX:
        return Described()
    try:
        notification = orjson.loads(body)
        if "oslo.message" in notification:
            notification = orjson.loads(notification["oslo.message"])
        return Described(
            _text(notification.get("message_id")), _text(notification.get("event_type")),
            _instant(notification.get("timestamp")),
        )  # fmt: skip
    except (orjson.JSONDecodeError, TypeError, AttributeError):
        return Described()


def _text(value: object) -> str:
    """A text that is short enough to describe an event; the body holds a longer one anyway."""
    return value if isinstance(value, str) and len(value) <= TEXT_CHARACTERS_MAX else ""


def _instant(value: object) -> int | None:
    """The time of a notification: `2026-11-19 23:11:00.060662`, in UTC without saying so."""
    try:
        text = _text(value)
        found = parse_time(text if text.endswith("Z") or "+" in text else text + "Z")
    except CodecError:
        return None
    # A zone can push an instant of the first or last day out of the calendar.
    return found if TIME_US_MIN <= found <= TIME_US_MAX else None
