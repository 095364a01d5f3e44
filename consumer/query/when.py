"""Instants as people write them. Pure: the present and the zone come in as arguments."""

import re
from datetime import UTC, datetime, tzinfo

from codec.errors import CodecError
from codec.event import EPOCH, TIME_US_MAX, TIME_US_MIN, parse_time
from consumer.errors import Exit, Fatal

_AGO = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_when(text: str, now_us: int, zone: tzinfo = UTC, end: bool = False) -> int:
    """Microseconds since 1970 of an ISO 8601 date or instant (`zone` where it names none), or of `15m`: so long ago.

    `end`: the last microsecond of what was named, for the end of a range: of a day, or of a second without fraction.
    Raises Fatal for what is neither.
    """
    text = text.strip()
    if ago := _AGO.fullmatch(text):
        return max(TIME_US_MIN, now_us - round(float(ago[1]) * _SECONDS[ago[2]] * 1_000_000))
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=zone)
        found = parse_time(instant.isoformat())
    except (ValueError, OverflowError, CodecError) as error:
        raise Fatal(
            Exit.SETTINGS, f"{text!r} is no time", "write 2026-11-21T16:15:00Z, 2026-11-21, or 15m for so long ago"
        ) from error
    return min(found + (_width_us(text) - 1 if end else 0), TIME_US_MAX)


def _width_us(text: str) -> int:
    """How long the instant is that a text names: a day, a minute, a second, or what its fraction says."""
    if re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", text):
        return 86_400_000_000
    clock = re.split(r"[T ]", text, maxsplit=1)[-1]
    clock = re.sub(r"(Z|[+-]\d{2}(:?\d{2})?)$", "", clock)
    if fraction := re.search(r"[.,](\d+)$", clock):
        return int(10 ** max(0, 6 - len(fraction[1])))
    return 60_000_000 if re.fullmatch(r"\d{2}:\d{2}", clock) else 1_000_000


def show_when(time_us: int, zone: tzinfo) -> str:
    """An instant in a zone, to the microsecond, with the zone's offset."""
    seconds, fraction = divmod(time_us - TIME_US_MIN, 1_000_000)
    instant = datetime.fromtimestamp((TIME_US_MIN // 1_000_000) + seconds, zone) if zone is not UTC else None
    if instant is None or not 1 < instant.year < 9999:
        from codec.event import format_time

        return format_time(time_us)
    return instant.replace(microsecond=fraction).isoformat(timespec="microseconds")


__all__ = ["EPOCH", "parse_when", "show_when"]
