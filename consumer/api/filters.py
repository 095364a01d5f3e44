"""The filters of the Python API: those of the command line, under the same names."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from codec.deaths import REASONS
from codec.event import EPOCH
from consumer.api.errors import wrong_type
from consumer.errors import DeedboxError

if TYPE_CHECKING:
    from consumer.archive.reading.duplicates import DuplicateMode
    from consumer.query.query import Query


class Filters(TypedDict, total=False):
    """Which events are read. An event must pass every filter; of several types or ids, it must match one. None is no filter.

    Times are a datetime with a time zone, an ISO 8601 text (`2026-11-21`, `2026-11-21T16:15:00Z`; UTC if it names no
    zone), or a text such as `90s`, `15m`, `2h`, `7d`, `4w`: that long ago.
    """

    since: str | datetime | None
    """The earliest event time, inclusive."""
    until: str | datetime | None
    """The latest event time, inclusive: `2026-11-21` is the end of that day."""
    arrived_since: str | datetime | None
    """The earliest arrival, inclusive."""
    arrived_until: str | datetime | None
    """The latest arrival, inclusive."""
    types: str | Iterable[str] | None
    """Globs of types, such as `compute.*`; one with `!` in front excludes types."""
    tags: str | Iterable[str] | None
    """Tags that the event must have, all of them."""
    ids: str | Iterable[str] | None
    """Ids of which the event must have one."""
    exchange: str | None
    """A glob of the exchange."""
    routing_key: str | None
    """A pattern of a topic exchange: `*` is one word, `#` any number of words."""
    match: str | None
    """A regular expression (of the package `regex`) that is searched for in the body."""
    headers: str | Iterable[str] | None
    """Conditions on headers, such as `retries>=3`."""
    where: str | Iterable[str] | None
    """Conditions on fields of a JSON body, or on `headers.NAME` or `properties.NAME`, such as `payload.size>=10`."""
    dead_lettered_from: str | None
    """A glob of the queue in which the event died first. Events that were not dead-lettered are left out."""
    death_reason: Literal["rejected", "expired", "maxlen", "delivery_limit"] | None
    """The reason of the first death of a dead-lettered event."""
    duplicates: Literal["hide", "show", "only"] | None
    """Events that are marked as duplicates: hide them (the default), show them too, or show only them."""


def make_query(filters: Filters) -> "Query":
    """The filters as a query.

    Raises TypeError for an unknown filter or a value of another type, and ValueError for a value that the filter cannot have.
    """
    from consumer.query import query
    from consumer.query.where import parse_header

    _check_names(filters)
    try:
        made = query.make_query(
            since_us=_time_us(filters, "since"), until_us=_time_us(filters, "until", end=True),
            ids=_texts(filters, "ids"), types=_texts(filters, "types"), tags=_texts(filters, "tags"),
            source=(_text(filters, "exchange"), _text(filters, "routing_key")), match=_text(filters, "match"),
            where=[*_texts(filters, "where"), *map(parse_header, _texts(filters, "headers"))],
        )  # fmt: skip
        made = made.dying(_text(filters, "dead_lettered_from"), _reason(filters))
        made = made.arriving(_time_us(filters, "arrived_since"), _time_us(filters, "arrived_until", end=True))
    except DeedboxError as error:
        raise ValueError(str(error)) from error
    return made.showing(_duplicates(filters))


def _check_names(filters: Filters) -> None:
    for name in filters.keys() - Filters.__annotations__.keys():
        near = get_close_matches(name, Filters.__annotations__, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"the filters are {', '.join(Filters.__annotations__)}"
        raise TypeError(f"unknown filter {name!r}; {hint}")


def _duplicates(filters: Filters) -> "DuplicateMode":
    from consumer.archive.reading.duplicates import DuplicateMode

    found = _text(filters, "duplicates")
    try:
        return DuplicateMode.HIDE if found is None else DuplicateMode(found)
    except ValueError:
        raise ValueError(f"duplicates={found!r}; expected 'hide', 'show' or 'only'") from None


def _reason(filters: Filters) -> str | None:
    found = _text(filters, "death_reason")
    if found is None or found in REASONS:
        return found
    raise ValueError(f"death_reason={found!r}; expected {', '.join(map(repr, REASONS[:-1]))} or {REASONS[-1]!r}")


def _text(filters: Filters, name: str) -> str | None:
    found = filters.get(name)
    if found is None or isinstance(found, str):
        return found
    raise wrong_type(name, found, "a text")


def _texts(filters: Filters, name: str) -> tuple[str, ...]:
    """The values of a filter; a single text is one value."""
    found: Any = filters.get(name)
    if found is None:
        return ()
    several = isinstance(found, Iterable) and not isinstance(found, str | bytes)
    values = tuple(found) if several else (found,)
    for value in values:
        if not isinstance(value, str):
            raise wrong_type(name, value, "a text, or several texts")
    return values


def _time_us(filters: Filters, name: str, end: bool = False) -> int | None:
    """Microseconds since 1970; `end`: the last microsecond of the day, minute or second that a text names."""
    from consumer.query.when import parse_when

    found = filters.get(name)
    if isinstance(found, datetime):
        if found.tzinfo is None:
            raise ValueError(f"{name}={found!r} has no time zone; use for example datetime.now(UTC)")
        return (found - EPOCH) // timedelta(microseconds=1)
    if found is None:
        return None
    if not isinstance(found, str):
        raise wrong_type(name, found, "a datetime with a time zone, or a text")
    return parse_when(found, time.time_ns() // 1000, UTC, end)
