"""The filters of the commands that read events: one set, with one meaning, for cat, search, tail and export."""

import time
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from consumer.query.query import Query


Marked = Annotated[
    Literal["hide", "show", "only"],
    Parameter(help="Events that are marked as duplicates: hide them, show them too, or show only them."),
]


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What events must be like. All filters must hold; of several types or ids, one."""

    since: Annotated[
        str | None, Parameter(help="Event time from: ISO 8601, or 15m, 2h, 7d ago. Default: no limit.")
    ] = None
    until: Annotated[str | None, Parameter(help="Event time up to, inclusive. Default: no limit.")] = None
    arrived_since: Annotated[str | None, Parameter(help="Arrival from, written like --since.")] = None
    arrived_until: Annotated[str | None, Parameter(help="Arrival up to, inclusive, written like --until.")] = None
    type: Annotated[
        tuple[str, ...],
        Parameter(negative=(), help="Type, as a glob such as compute.*; with ! in front, to exclude. Repeatable."),
    ] = ()
    tag: Annotated[tuple[str, ...], Parameter(negative=(), help="A tag that the event has. Repeatable.")] = ()
    id: Annotated[tuple[str, ...], Parameter(negative=(), help="One of these ids. Repeatable.")] = ()
    exchange: Annotated[str | None, Parameter(help="Exchange, as a glob.")] = None
    routing_key: Annotated[
        str | None, Parameter(help="Routing key, as a topic exchange matches it: user.*, user.#; * is one whole word.")
    ] = None
    match: Annotated[str | None, Parameter(help="A regular expression, anywhere in the body.")] = None
    header: Annotated[
        tuple[str, ...], Parameter(negative=(), help="A condition on a header: retries>=3. Repeatable.")
    ] = ()
    where: Annotated[
        tuple[str, ...],
        Parameter(
            negative=(),
            help="A condition on a field of a JSON body, or on headers.NAME or properties.NAME: payload.size>=10. "
            "Operators: = != and, with a number or a time, < <= > >=; != also holds where the field is missing. Repeatable.",
        ),
    ] = ()
    duplicates: Marked = "hide"

    def query(self, local: bool = False) -> "Query":
        """The filters as a query; `local`: times without a zone are in that of this machine. Raises Fatal."""
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
        return arriving.showing(self.duplicates)


def zone_of(local: bool) -> tzinfo:
    """The zone that times are written and shown in."""
    from consumer.query.when import LocalZone

    return LocalZone() if local else UTC


NO_FILTERS = Filters()
Filtered = Annotated[Filters, Parameter(name="*")]
