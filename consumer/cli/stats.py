"""The command that counts events: stats."""

from typing import Annotated, Literal

from cyclopts import Parameter

from consumer.cli.command import OUTPUT, READ, command
from consumer.cli.filters import NO_FILTERS, Filtered
from consumer.cli.parameters import FROM_ENVIRONMENT, Cluster, Paths, Storage, Workers


@command(
    "stats", READ,
    "stats DIR --by type --duplicates show",
    "stats DIR --by type,payload.tenant --bucket 1h --since 2d --bytes",
    "stats DIR --by x-death.queue,x-death.reason,type",
)  # fmt: skip
def stats(
    paths: Paths,
    /,
    *,
    by: Annotated[
        str | None,
        Parameter(
            help="Fields, separated by commas: type, routing_key (or key), exchange, tag, id, redelivered, duplicate, headers.NAME, "
            "properties.NAME, or a field of a JSON body such as payload.size. Of a dead-lettered event: x-death.queue, x-death.reason, "
            "x-death.exchange, x-death.routing-key and x-death.count of its first death; x-last-death.queue and so on of its last one. "
            "[default: none, which counts all events together]"
        ),
    ] = None,
    bucket: Annotated[
        str | None,
        Parameter(
            help="Length of the time buckets: 10s, 15m, 1h, 1d, 1w. By event time, in UTC. [default: no buckets]"
        ),
    ] = None,
    bytes: Annotated[bool, Parameter(negative=(), group=OUTPUT, help="Also add up the bytes of the bodies.")] = False,
    filters: Filtered = NO_FILTERS,
    format: Annotated[
        Literal["table", "jsonl"],
        Parameter(group=OUTPUT, help="Output format: a table, or a JSON line for each group."),
    ] = "table",
    workers: Workers = None,
    cluster: Cluster = None,
    storage: Storage = FROM_ENVIRONMENT,
) -> int:
    """Count events by type, tag, header or field of the body, over time.

    Within each time bucket, the largest groups come first. An event with several tags is in a group for each of them. The events without a
    field are a group too: it is shown as - in the table, and as null in JSON lines. More than 100,000 groups are an error. The number of an
    element is a name too: headers.x-death.0.queue.

    The first death of an event is where and why the message was dead-lettered first, and x-death.count is how often it died there for that
    reason. The last death is the latest one. An event that was not dead-lettered has neither.

    Fast: by type or without --by, with --duplicates show, and without filters, --bucket and --bytes. Then the footers of sealed archives
    answer, and no event is read. The filters on time, type, tag and id read only the batches that may hold such events. Everything else reads
    all events. Exit status 1 if an archive is damaged or cannot be read; the events of the others are counted. If none can be read, no
    count is printed.
    """
    from consumer.cli.commands.count_events import count_events
    from consumer.query.grouping import parse_grouping

    storage.apply(paths)
    return count_events(paths, filters.query(), parse_grouping(by, bucket), bytes, format, (workers, cluster))
