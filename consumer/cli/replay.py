"""The command that publishes archived events again: replay."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Group, Parameter

from consumer.cli.command import FILTERS, SERVICE, command
from consumer.cli.filters import Filters
from consumer.cli.parameters import Config, Paths, Set, StorageSettings, Url
from consumer.errors import Exit, Fatal

TARGET, PACE = Group("Target", sort_key=11), Group("Pace", sort_key=12)


@dataclass(frozen=True, kw_only=True)
class ReplayFilters(Filters):
    """The filters of `search`. Three have other names, because their names change the target here."""

    exchange: Annotated[str | None, Parameter(name="--from-exchange", help="Archived exchange, as a glob.")] = None
    routing_key: Annotated[
        str | None,
        Parameter(
            name="--from-routing-key",
            help="Archived routing key, as a pattern of a topic exchange: user.*, user.#. Here * is exactly one word.",
        ),
    ] = None
    header: Annotated[
        tuple[str, ...],
        Parameter(
            name="--from-header", negative=(), help="Condition on an archived header, such as retries>=3. Repeatable."
        ),
    ] = ()


@dataclass(frozen=True, kw_only=True)
class TargetOptions:
    """Where the messages go."""

    exchange: Annotated[str | None, Parameter(help="Publish to this exchange. [default: as archived]")] = None
    routing_key: Annotated[str | None, Parameter(help="Publish with this routing key. [default: as archived]")] = None
    header: Annotated[
        tuple[str, ...],
        Parameter(
            negative=(),
            consume_multiple=False,
            help="Set or replace a header, as NAME=VALUE. true and false are booleans, numbers are 64-bit integers or doubles, and everything "
            'else is text; "3" in double quotes is text too. Repeatable. [default: the archived headers]',
        ),
    ] = ()
    to_queue: Annotated[
        str | None,
        Parameter(help="Put the messages into this queue: the default exchange, with the queue as the routing key."),
    ] = None
    to_origin: Annotated[
        bool,
        Parameter(
            negative=(),
            help="Publish dead-lettered events to the exchange and the routing key from which they came when they died first, without x-death. Always "
            "keeps receipts, so that each event is published once.",
        ),
    ] = False
    no_marker: Annotated[
        bool,
        Parameter(
            negative=(),
            help="Publish the headers as archived, without the header x-deedbox-replay. It is a table with the position, an id of the "
            "run, and how often the message was replayed.",
        ),
    ] = False

    def names(self) -> tuple[str | None, str | None]:
        """Exchange and routing key; None: as archived, or where the message died. Raises Fatal if several kinds of options are used."""
        if self.to_origin and (self.exchange, self.routing_key, self.to_queue) != (None, None, None):
            what = "--to-origin with --exchange, --routing-key or --to-queue"
            raise Fatal(Exit.SETTINGS, what, "use --to-origin alone: each event has its own exchange and routing key")
        if self.to_queue is None:
            return self.exchange, self.routing_key
        if self.exchange is not None or self.routing_key is not None:
            what = f"--to-queue {self.to_queue} with --exchange or --routing-key"
            raise Fatal(
                Exit.SETTINGS, what, "use --to-queue alone: it is the default exchange with the queue as the key"
            )
        return "", self.to_queue


@command(
    "replay", SERVICE,
    "replay DIR --url amqp://HOST/ --type 'compute.*' --since 2h",
    "replay DIR --to-queue orders --checkpoint restore-orders",
    "replay DIR --to-origin --dead-lettered-from orders",
)  # fmt: skip
def replay(
    paths: Paths,
    /,
    *,
    url: Url = None,
    target: Annotated[TargetOptions, Parameter(name="*", group=TARGET)] = TargetOptions(),
    speed: Annotated[
        float | None,
        Parameter(group=PACE, help="1: as it was; 10: ten times as fast. [default: as fast as the broker confirms]"),
    ] = None,
    rate: Annotated[
        str | None, Parameter(group=PACE, help="At most this many events a second, such as 500/s. [default: no limit]")
    ] = None,
    checkpoint: Annotated[
        str | None,
        Parameter(
            help="Name under which the directory stores which events were published and confirmed. A run with the same name leaves them out. "
            "[default: none; with --to-origin, to-origin]"
        ),
    ] = None,
    again: Annotated[
        bool, Parameter(negative=(), help="Also publish events that have a receipt. Receipts are kept as without it.")
    ] = False,
    dry_run: Annotated[
        bool,
        Parameter(
            negative=(), help="Publish nothing. Print how many messages each exchange and routing key would get."
        ),
    ] = False,
    filters: Annotated[ReplayFilters, Parameter(name="*", group=FILTERS)] = ReplayFilters(),
    config: Config = None,
    set: Set = (),
) -> int:
    """Publish archived events again, each confirmed by the broker.

    Exchange, routing key, properties, headers and body are those of the archive, byte for byte; only the marker is added. The events come in the
    order of event time across all archives. An event must pass all filters. The filters on exchange, routing key and headers
    have names that begin with --from-, because --exchange, --routing-key and --header change the target.

    Every message is mandatory. Events that no queue takes, that the broker refuses, or that cannot be read are listed with their positions, the others
    are published, and the exit status is 1. If the connection is lost, the command connects again, and sends what was not confirmed again. SIGINT and
    SIGTERM end it after the confirms of what was sent.

    With --checkpoint, a later run with the same name publishes only what has no receipt yet, also after a kill. A kill repeats at most the last
    2,000 messages without a confirm, and what was confirmed in the last second or two.

    With --to-origin, each event is a message as it was before it died first: the headers that the broker added are removed, and an expiration
    that the broker removed is set again, unless the message had expired. An event that was not dead-lettered is listed and not published. The exchange
    may route the message to other queues too, which had it before. To put it into one queue, use --to-queue.
    """
    from consumer.cli.commands.replay import ReplayRequest, count_archives, publish_archives
    from consumer.config import loader
    from consumer.replay.origin import RECEIPTS, origin_route
    from consumer.replay.pace import Pace, parse_rate
    from consumer.replay.target import Overrides, parse_headers

    exchange, key = target.names()
    overrides = Overrides(exchange, key, parse_headers(target.header))
    named = (exchange or "", key or "") if exchange or (exchange == "" and key) else None
    pace = Pace(speed, None if rate is None else parse_rate(rate))
    route = origin_route(overrides) if target.to_origin else overrides.route()
    receipts = checkpoint or (RECEIPTS if target.to_origin else None)
    if again and receipts is None:
        what = "--again without --checkpoint or --to-origin"
        raise Fatal(Exit.SETTINGS, what, "leave it out: without receipts, all events are published")
    request = ReplayRequest(paths, filters.query(), route, pace, named, receipts, not target.no_marker, again)
    StorageSettings(config=config, set=set).apply(paths)
    if dry_run:
        return count_archives(request)
    return publish_archives(request, loader.load(config, loader.environment(), {"broker.url": url}, list(set)))
