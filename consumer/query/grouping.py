"""The groups of `stats`: for each event, the time bucket and the values of the named fields. Pure.

Invariant: the groups of an event depend on the event alone, so that events may be counted in any order and in any number of parts.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from codec import jsonl
from codec.event import TIME_US_MIN, Event
from consumer.errors import Exit, Fatal
from consumer.query.columns import parse_path, show_value
from consumer.query.deaths import FIELDS, death_field, is_death_field
from consumer.query.where import MISSING, Condition, loads

Value = str | None  # None: the event has no such field
Group = tuple[
    int | None, tuple[Value, ...]
]  # the beginning of the bucket, in microseconds since 1970, and a value for each field

_BUCKET = re.compile(r"(\d{1,6})(s|m|h|d|w)", re.ASCII)
_UNIT_US = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000, "w": 604_800_000_000}
_MONDAY_US = 4 * _UNIT_US["d"]  # 1970-01-05; buckets of whole weeks begin on Mondays
_EXACT = 1 << 63  # orjson rounds an integer from here on
_TAGS = ("tag", "tags")
_PLAIN: dict[str, Callable[[Event], str]] = {
    "type": lambda event: event.type,
    "exchange": lambda event: event.exchange,
    "routing_key": lambda event: event.routing_key,
    "key": lambda event: event.routing_key,
    "id": lambda event: event.id,
    "redelivered": lambda event: "true" if event.redelivered else "false",
    "duplicate": lambda event: event.duplicate,
}
_NO_FIELDS = {
    "time": "use --bucket for times",
    "arrived": "use --bucket for times",
    "position": "each event has its own",
    "body": "name a field of the body, such as payload.size",
}
_COUNTED = ("bucket", "events", "bytes")  # members of a line of the output


@dataclass(frozen=True)
class Grouping:
    """The fields of `--by`, and the length of a time bucket in microseconds; None: no buckets."""

    fields: tuple[str, ...] = ()
    bucket_us: int | None = None

    def __post_init__(self) -> None:
        self._readers  # noqa: B018 -- a wrong name is an error now, and not at the first event

    @cached_property
    def _readers(self) -> list[Condition | Callable[[Event], Value] | None]:
        """For each field: its path, a function for a member of every event, or None for the tags."""
        return [None if name in _TAGS else _reader(name) for name in self.fields]

    @cached_property
    def _tag_at(self) -> int | None:
        """The place of the tag among the fields; None if it is not one of them."""
        return next((at for at, name in enumerate(self.fields) if name in _TAGS), None)

    @property
    def by_type_only(self) -> bool:
        """Whether the counts by type answer it: the only field is the type, or there is none; and there are no buckets."""
        return self.bucket_us is None and self.fields in ((), ("type",))

    def groups_of(self, event: Event) -> Iterable[Group]:
        """The groups of an event: one, or one for each of its tags if the tag is a field."""
        values = self._values(event)
        bucket = None if self.bucket_us is None else bucket_start(event.time_us, self.bucket_us)
        at = self._tag_at
        if at is None:
            return [(bucket, tuple(values))]
        tags: Iterable[Value] = dict.fromkeys(event.tags) or [None]
        return [(bucket, (*values[:at], tag, *values[at + 1 :])) for tag in tags]

    def event_fields(self) -> frozenset[str]:
        """Those of the fields `id` and `body` of an event that the groups read, as `Query.fields`."""
        reads = {"id": "id" in self.fields, "body": any(isinstance(reader, Condition) for reader in self._readers)}
        return frozenset(name for name, read in reads.items() if read)

    def _values(self, event: Event) -> list[Value]:
        parsed = _Parsed(event)
        return [
            None if reader is None else parsed.value(reader) if isinstance(reader, Condition) else reader(event)
            for reader in self._readers
        ]

    def __getstate__(self) -> dict[str, object]:
        return {"fields": self.fields, "bucket_us": self.bucket_us}  # the functions cannot be sent to another process


class _Parsed:
    """The body and the delivery of an event, each parsed at most once, and only if a path needs it."""

    __slots__ = ("_body", "_delivery", "_event")

    def __init__(self, event: Event) -> None:
        self._event = event
        self._body: object = MISSING
        self._delivery: dict[str, object] | None = None

    def value(self, path: Condition) -> Value:
        """The value at a path; None if there is none."""
        found: object = MISSING
        if path.reads_delivery:
            if self._delivery is None:
                self._delivery = jsonl.show_header(self._event.header)
            found = path.find(None, self._delivery)
        if found is MISSING:
            if self._body is MISSING:
                self._body = loads(self._event.body, exact=False)
            found = path.find(self._body)
            if isinstance(found, dict | list) or (isinstance(found, float) and abs(found) >= _EXACT):
                found = path.find(loads(self._event.body))
        return None if found is MISSING else show_value(found)


def bucket_start(time_us: int, bucket_us: int) -> int:
    """The beginning of the bucket that holds a time, in UTC. The first bucket of the calendar may be shorter."""
    origin = 0 if bucket_us % _UNIT_US["w"] else _MONDAY_US
    return max(time_us - (time_us - origin) % bucket_us, TIME_US_MIN)


def parse_grouping(by: str | None, bucket: str | None) -> Grouping:
    """The groups of `--by type,headers.tenant` and `--bucket 1h`. Raises Fatal."""
    names = [] if by is None else [name.strip() for name in by.split(",")]
    for name in names:
        _check(name, names)
    return Grouping(tuple(names), None if bucket is None else _parse_bucket(bucket))


def _reader(name: str) -> Condition | Callable[[Event], Value]:
    if name in FIELDS:
        return death_field(name)
    return _PLAIN.get(name) or parse_path(name, "--by")


def _check(name: str, names: Sequence[str]) -> None:
    do = ""
    if not name or set(name) & set("=!<>~"):
        do = "use type, routing_key, exchange, tag, headers.NAME, properties.NAME or a field of the body, such as payload.size"
    elif name in _NO_FIELDS:
        do = _NO_FIELDS[name]
    elif is_death_field(name) and name not in FIELDS:
        do = f"use {', '.join(FIELDS)}; or body.{name} for a field of the body"
    elif name in _COUNTED:
        do = f"write body.{name} for a field of the body"
    elif names.count(name) > 1 or (name in _TAGS and set(_TAGS) <= set(names)):
        do = "name each field once"
    if do:
        raise Fatal(Exit.SETTINGS, f"--by {','.join(names)!r}: events cannot be grouped by {name!r}", do)


def _parse_bucket(text: str) -> int:
    found = _BUCKET.fullmatch(text.strip())
    if found is None or not int(found[1]):
        raise Fatal(
            Exit.SETTINGS,
            f"--bucket {text!r} is not a length of time",
            "write a number and a unit: 10s, 15m, 1h, 1d or 1w",
        )
    return int(found[1]) * _UNIT_US[found[2]]
