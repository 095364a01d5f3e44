"""What a search looks for: what footers can tell (`Wanted`), and what only the event itself can."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property

import regex

from codec.event import Event, format_time
from codec.jsonl import show_header
from consumer.archive.reading.catalog import Wanted
from consumer.archive.reading.duplicates import Mode
from consumer.errors import DeedboxError, Exit, Fatal
from consumer.query.where import Condition, loads, parse_condition
from consumer.topic import Topic

Check = Callable[[Event], bool]
MATCH_S_MAX = 1.0  # for one body: an expression that takes longer is of the kind that never ends


@dataclass(frozen=True)
class Query:
    """All of it must hold. `exchange` is a glob, `routing_key` a topic pattern; `match` is searched for anywhere in the body.

    `duplicates`: whether readers hide marked events, show them too, or show them only. `accepts` does not ask for it: readers count
    what they hide, and `delete` deletes marked events too.
    """

    wanted: Wanted = field(default_factory=Wanted)
    exchange: str | None = None
    routing_key: Topic | None = None
    match: regex.Pattern[str] | None = None
    where: tuple[Condition, ...] = ()
    duplicates: Mode = "hide"

    def arriving(self, since_us: int | None, until_us: int | None) -> "Query":
        """The same of events that arrived in this time: microseconds since 1970, both inclusive. Raises Fatal for an empty range."""
        _check_range("arrived since", since_us, until_us)
        return replace(self, wanted=replace(self.wanted, arrived_since_us=since_us, arrived_until_us=until_us))

    def showing(self, duplicates: Mode) -> "Query":
        """The same with marked events hidden, shown too, or shown only."""
        return replace(self, duplicates=duplicates)

    def accepts(self, event: Event) -> bool:
        """Whether an event is what is looked for. Raises DeedboxError when the expression takes too long."""
        return all(check(event) for check in self.checks())

    def checks(self) -> Iterator[Check]:
        """What an event must fulfil, the cheapest first. A search asks them of every event, so only those that matter are given."""
        wanted, exchange, key, match = self.wanted, self.exchange, self.routing_key, self.match
        if (wanted.since_us, wanted.until_us) != (None, None):
            yield lambda event: wanted.within(event.time_us, event.time_us)
        if (wanted.arrived_since_us, wanted.arrived_until_us) != (None, None):
            yield lambda event: wanted.arrived(event.arrived_us, event.arrived_us)
        if wanted.ids:
            yield lambda event: event.id in wanted.ids
        if wanted.types or wanted.types_not:
            yield lambda event: wanted.is_type(event.type)
        if wanted.tags:
            yield lambda event: all(tag in event.tags for tag in wanted.tags)
        if exchange is not None:
            yield lambda event: fnmatchcase(event.exchange, exchange)
        if key is not None:
            yield lambda event: key.matches(event.routing_key)
        if match is not None:
            yield lambda event: self._matches(match, event)
        if self.where:
            yield self._fulfils

    @cached_property
    def _exactly(self) -> bool:
        return any(condition.reads_long_numbers for condition in self.where)

    @cached_property
    def _reads_delivery(self) -> bool:
        return any(condition.reads_delivery for condition in self.where)

    def _matches(self, pattern: "regex.Pattern[str]", event: Event) -> bool:
        try:
            found = pattern.search(event.body.decode("utf-8", "surrogateescape"), timeout=MATCH_S_MAX)
        except TimeoutError as error:
            raise DeedboxError(
                f"the expression {pattern.pattern!r} takes more than {MATCH_S_MAX:g} s on event {event.id!r}",
                "write it without nested repetitions",
            ) from error
        return found is not None

    def _fulfils(self, event: Event) -> bool:
        body = loads(event.body, self._exactly)
        delivery = show_header(event.header) if self._reads_delivery else None
        return all(condition.holds(body, delivery) for condition in self.where)


class EventFilter:
    """Whether events are wanted. A time-out of the expression is a fault of one event, which is reported, and ends nothing."""

    def __init__(self, query: Query, report: Callable[[str], None]) -> None:
        self._checks = tuple(query.checks())
        self._report = report

    def __call__(self, event: Event, *position: object) -> bool:
        """Whether the event at this position is wanted. `position`: parts of its text, which are joined only if it is needed."""
        try:
            for check in self._checks:
                if not check(event):
                    return False
        except DeedboxError as error:
            self._report(f"{''.join(map(str, position))}: {error}")
            return False
        return True


def make_query(
    *, since_us: int | None = None, until_us: int | None = None, ids: Sequence[str] = (), types: Sequence[str] = (),
    tags: Sequence[str] = (), source: tuple[str | None, str | None] = (None, None), match: str | None = None,
    where: Sequence[str | Condition] = (),
) -> Query:  # fmt: skip
    """A query from what a person wrote: type globs with `!` in front exclude; `source` is a glob for the exchange and a topic
    pattern for the routing key.

    Raises Fatal for an expression or a condition that is none, and for a range that ends before it begins.
    """
    _check_range("since", since_us, until_us)
    wanted = Wanted(
        since_us, until_us, frozenset(ids), tuple(kind for kind in types if not kind.startswith("!")),
        tuple(kind[1:] for kind in types if kind.startswith("!")), tuple(tags),
    )  # fmt: skip
    try:
        pattern = None if match is None else regex.compile(match)
    except (regex.error, RecursionError, OverflowError) as error:
        raise Fatal(Exit.SETTINGS, f"{match!r} is no regular expression: {error}") from error
    exchange, key = source
    conditions = tuple(parse_condition(one) if isinstance(one, str) else one for one in where)
    return Query(wanted, exchange, None if key is None else Topic.parse(key), pattern, conditions)


def _check_range(name: str, since_us: int | None, until_us: int | None) -> None:
    """Raise Fatal for a range without an instant: every answer would be empty."""
    if since_us is not None and until_us is not None and since_us > until_us:
        until = name.replace("since", "until")
        what = f"{name} {format_time(since_us)} is after {until} {format_time(until_us)}: no event can be between them"
        raise Fatal(Exit.SETTINGS, what, "exchange the two")
