"""Read ID, type and time from an OpenStack notification, with or without the oslo envelope.

Invariant: a body that is not a notification gives an empty description and never an error.
"""

from typing import NamedTuple

import orjson

from codec.errors import CodecError
from codec.event import TIME_US_MAX, TIME_US_MIN, parse_time
from codec.limits import PARSED_BYTES_MAX, TEXT_CHARACTERS_MAX


class Description(NamedTuple):
    """ID, type and time of a notification. A missing text is empty, a missing time is None."""

    id: str = ""
    type: str = ""
    time_us: int | None = None


def describe_body(body: bytes) -> Description:
    """ID, type and time of a notification. A body of more than PARSED_BYTES_MAX is not parsed: its description is empty."""
    if len(body) > PARSED_BYTES_MAX:
        return Description()
    try:
        notification = orjson.loads(body)
        if "oslo.message" in notification:
            notification = orjson.loads(notification["oslo.message"])
        return Description(
            _text(notification.get("message_id")), _text(notification.get("event_type")),
            _instant(notification.get("timestamp")),
        )  # fmt: skip
    except (orjson.JSONDecodeError, TypeError, AttributeError):
        return Description()


def _text(value: object) -> str:
    """The value if it is text and not too long for a member of an event; otherwise an empty text."""
    return value if isinstance(value, str) and len(value) <= TEXT_CHARACTERS_MAX else ""


def _instant(value: object) -> int | None:
    """The time of a notification, such as `2026-11-19 23:11:00.060662`: UTC, although it names no time zone."""
    try:
        text = _text(value)
        found = parse_time(text if text.endswith("Z") or "+" in text else text + "Z")
    except CodecError:
        return None
    # On the first or last day of the calendar, the conversion to UTC can leave the calendar.
    return found if TIME_US_MIN <= found <= TIME_US_MAX else None
