"""Parse and format times as users write them. Pure: the present time and the time zone are arguments."""

import re
import time
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo

from codec.errors import CodecError
from codec.event import EPOCH, TIME_US_MAX, TIME_US_MIN, format_time, parse_time
from consumer.errors import Exit, Fatal

_AGO = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(s|m|h|d|w)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_ISO = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})"
    r"([T ]\d{2}:\d{2}(?P<second>:\d{2}(?P<fraction>[.,]\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?", re.ASCII,
)  # fmt: skip
_DAY = timedelta(days=1)


def parse_when(text: str, now_us: int, zone: tzinfo = UTC, end: bool = False) -> int:
    """Microseconds since 1970 of an ISO 8601 date or time, or of a duration before now such as `15m`.

    `zone`: the time zone if the text has none. `end`: for the end of a range: the last microsecond of the named day, minute, second or
    fraction of a second. Raises Fatal for any other text.
    """
    text = text.strip()
    if ago := _AGO.fullmatch(text):
        return max(TIME_US_MIN, now_us - round(float(ago[1]) * _SECONDS[ago[2]] * 1_000_000))
    named = _ISO.fullmatch(text)
    try:
        if named is None:
            raise ValueError(text)
        instant = datetime.fromisoformat(text)
        if end and text == named["day"]:
            return _end_of_day(instant, zone)
        found = parse_time((instant if instant.tzinfo else instant.replace(tzinfo=zone)).isoformat())
    except (ValueError, OverflowError, CodecError) as error:
        raise Fatal(
            Exit.SETTINGS,
            f"{text!r} is no time",
            "write an ISO 8601 time or day of the years 1 to 9999, 2026-11-21T16:15:00Z or 2026-11-21, or how long ago: 90s, 15m, 2h, 7d or 4w",
        ) from error
    return min(found + (_width_us(named) - 1 if end else 0), TIME_US_MAX)


def _end_of_day(day: datetime, zone: tzinfo) -> int:
    """The last microsecond of a day. The day may have 23 or 25 hours."""
    if day.date() == date.max:
        return TIME_US_MAX
    return parse_time((day + _DAY).replace(tzinfo=zone).isoformat()) - 1


def _width_us(named: re.Match[str]) -> int:
    """The length of the named time: a minute, a second, or the last digit of its fraction."""
    if named["fraction"]:
        return int(10 ** max(0, 7 - len(named["fraction"])))
    return 1_000_000 if named["second"] else 60_000_000


def show_when(time_us: int, zone: tzinfo) -> str:
    """A time in a zone, with microseconds and the zone's offset. In UTC if the local time would be outside the calendar."""
    if zone is UTC:
        return format_time(time_us)
    try:
        return (EPOCH + timedelta(microseconds=time_us)).astimezone(zone).isoformat(timespec="microseconds")
    except (OverflowError, ValueError, OSError):
        return format_time(time_us)


class LocalZone(tzinfo):
    """The time zone of this machine, with the offset that is valid at each time and not the present one."""

    def utcoffset(self, instant: datetime | None) -> timedelta:
        """The offset from UTC at this local time."""
        if instant is None:
            return timedelta(seconds=time.localtime().tm_gmtoff)
        return timedelta(seconds=time.localtime(time.mktime(instant.timetuple())).tm_gmtoff)

    def dst(self, _instant: datetime | None) -> None:
        """None: daylight saving time is part of the offset."""

    def tzname(self, _instant: datetime | None) -> str:
        """The name of the zone."""
        return "local"

    def fromutc(self, instant: datetime) -> datetime:
        """The local time of an instant in UTC."""
        seconds = (instant.replace(tzinfo=UTC) - EPOCH) // timedelta(seconds=1)
        offset = timedelta(seconds=time.localtime(seconds).tm_gmtoff)
        return (instant + offset).replace(tzinfo=timezone(offset))
