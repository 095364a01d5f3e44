"""The filters of the commands that read events. They are the same for cat, search, tail and export."""

import time
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from consumer.cli.command import FILTERS

if TYPE_CHECKING:
    from consumer.query.query import Query


DuplicatesOption = Annotated[
    Literal["hide", "show", "only"],
    Parameter(help="Events that are marked as duplicates: hide them, show them too, or show only them."),
]


@dataclass(frozen=True, kw_only=True)
class Filters:
    """The conditions that an event must fulfil. All options must hold; of several types or ids, one must."""

    since: Annotated[
        str | None, Parameter(help="Earliest event time: ISO 8601, or an age such as 15m, 2h, 7d. [default: no limit]")
    ] = None
    until: Annotated[str | None, Parameter(help="Latest event time, inclusive. [default: no limit]")] = None
    arrived_since: Annotated[
        str | None, Parameter(help="Earliest arrival, written as for --since. [default: no limit]")
    ] = None
    arrived_until: Annotated[str | None, Parameter(help="Latest arrival, inclusive. [default: no limit]")] = None
    type: Annotated[
        tuple[str, ...],
        Parameter(negative=(), help="Type, as a glob such as compute.*; a ! before the glob excludes. Repeatable."),
    ] = ()
    tag: Annotated[tuple[str, ...], Parameter(negative=(), help="Tag that the event must have. Repeatable.")] = ()
    id: Annotated[tuple[str, ...], Parameter(negative=(), help="Id. Repeatable: one of the ids must match.")] = ()
    exchange: Annotated[str | None, Parameter(help="Exchange, as a glob.")] = None
    routing_key: Annotated[
        str | None,
        Parameter(help="Routing key, as a pattern of a topic exchange: user.*, user.#. Here * is exactly one word."),
    ] = None
    match: Annotated[str | None, Parameter(help="Regular expression that matches somewhere in the body.")] = None
    header: Annotated[
        tuple[str, ...], Parameter(negative=(), help="Condition on a header, such as retries>=3. Repeatable.")
    ] = ()
    where: Annotated[
        tuple[str, ...],
        Parameter(
            negative=(),
            help="Condition on a field of a JSON body, on headers.NAME or on properties.NAME, such as payload.size>=10. "
            "Operators: = and !=; for numbers and times also < <= > >=. For a missing field, only != is true. Repeatable.",
        ),
    ] = ()
    dead_lettered_from: Annotated[
        str | None,
        Parameter(
            help="Queue in which the event died first, as a glob. Events that were not dead-lettered are left out."
        ),
    ] = None
    death_reason: Annotated[
        Literal["rejected", "expired", "maxlen", "delivery_limit"] | None,
        Parameter(help="Reason of the first death of a dead-lettered event."),
    ] = None
    duplicates: DuplicatesOption = "hide"

    def query(self, local: bool = False) -> "Query":
        """The filters as a query. `local`: times without a zone are in the zone of this machine. Raises Fatal."""
        from consumer.archive.reading.duplicates import DuplicateMode
        from consumer.query.query import make_query
        from consumer.query.when import parse_when
        from consumer.query.where import parse_header

        now_us, zone = time.time_ns() // 1000, zone_of(local)

        def instant(text: str | None, end: bool = False) -> int | None:
            return None if text is None else parse_when(text, now_us, zone, end)

        query = make_query(
            since_us=instant(self.since), until_us=instant(self.until, end=True), ids=self.id, types=self.type,
            tags=self.tag, source=(self.exchange, self.routing_key), match=self.match,
            where=[*self.where, *map(parse_header, self.header)],
        )  # fmt: skip
        arriving = query.arriving(instant(self.arrived_since), instant(self.arrived_until, end=True))
        dying = arriving.dying(self.dead_lettered_from, self.death_reason)
        return dying.showing(DuplicateMode(self.duplicates))


def zone_of(local: bool) -> tzinfo:
    """The time zone of times that are read and shown."""
    from consumer.query.when import LocalZone

    return LocalZone() if local else UTC


NO_FILTERS = Filters()
Filtered = Annotated[Filters, Parameter(name="*", group=FILTERS)]
