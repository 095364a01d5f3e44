"""The conditions of a search: those that footers can answer (`Wanted`), and those that need the event itself."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property

import regex

from codec.event import Event, format_time
from codec.jsonl import show_header
from consumer.archive.reading.catalog import Wanted
from consumer.archive.reading.duplicates import DuplicateMode
from consumer.errors import DeedboxError, Exit, Fatal
from consumer.query.deaths import DeathFilter
from consumer.query.where import Condition, loads, parse_condition
from consumer.topic import Topic

Check = Callable[[Event], bool]
MATCH_S_MAX = 1.0  # per body; an expression with nested repetitions may need years


@dataclass(frozen=True)
class Query:
    """An event must fulfil all conditions. `exchange`: a glob. `routing_key`: a topic pattern. `match`: searched anywhere in the body.
    `death`: where and why it died first; None accepts also events that were not dead-lettered.

    `duplicates`: whether readers hide duplicates, show them too, or show only them. `accepts` ignores it, because readers count the
    duplicates that they hide, and `delete` deletes duplicates too.
    """

    wanted: Wanted = field(default_factory=Wanted)
    exchange: str | None = None
    routing_key: Topic | None = None
    match: regex.Pattern[str] | None = None
    where: tuple[Condition, ...] = ()
    duplicates: DuplicateMode = DuplicateMode.HIDE
    death: DeathFilter | None = None

    def arriving(self, since_us: int | None, until_us: int | None) -> "Query":
        """The same query for events that arrived in this range: microseconds since 1970, both inclusive. Raises Fatal for an empty range."""
        _check_range("arrived since", since_us, until_us)
        return replace(self, wanted=replace(self.wanted, arrived_since_us=since_us, arrived_until_us=until_us))

    def dying(self, queue: str | None, reason: str | None) -> "Query":
        """The same query for events that died first in this queue, a glob, and for this reason. None: any. Both None: no condition."""
        return replace(self, death=None if queue is reason is None else DeathFilter(queue, reason))

    def showing(self, duplicates: DuplicateMode) -> "Query":
        """The same query with another handling of duplicates."""
        return replace(self, duplicates=duplicates)

    def accepts(self, event: Event) -> bool:
        """Whether an event fulfils all conditions. Raises DeedboxError if the expression needs more than MATCH_S_MAX."""
        return all(check(event) for check in self.checks())

    def checks(self) -> Iterator[Check]:
        """One function for each condition that is set, the fastest first. A search calls them for every event."""
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
        if self.death is not None:
            yield self.death.accepts
        if match is not None:
            yield lambda event: self._matches(match, event)
        if self.where:
            yield self._fulfils

    def fields(self) -> frozenset[str]:
        """Those of the fields `id` and `body` of an event that the conditions read. `codec.projection` always decodes the others."""
        reads = {"id": bool(self.wanted.ids or self.match), "body": bool(self.match or self.where)}
        return frozenset(name for name, read in reads.items() if read)

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
    """Checks whether events fulfil a query. If the expression times out, the event is rejected, and `report` is called with the reason."""

    def __init__(self, query: Query, report: Callable[[str], None]) -> None:
        self._checks = tuple(query.checks())
        self._report = report

    def __call__(self, event: Event, *position: object) -> bool:
        """Whether the event fulfils the query. `position`: parts of the event's name in a report; joined only for a report."""
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
    """A query from a user's options.

    Times in microseconds since 1970, both inclusive. `types`: globs; those that begin with `!` exclude types. `source`: a glob for the
    exchange, and a topic pattern for the routing key. `match`: a regular expression. Raises Fatal for an invalid expression or
    condition, and for a range that ends before it begins.
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
    """Raise Fatal if the range ends before it begins."""
    if since_us is not None and until_us is not None and since_us > until_us:
        until = name.replace("since", "until")
        what = f"{name} {format_time(since_us)} is after {until} {format_time(until_us)}: no event can be between them"
        raise Fatal(Exit.SETTINGS, what, "swap the two")
