"""`replay --dry-run`: how many messages each exchange and routing key would get."""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from codec.counted import counted
from consumer.amqp.outgoing import Outgoing
from consumer.cli.printing import print_line
from consumer.replay.report import Problem, Report
from consumer.replay.selection import Selected
from consumer.visible import escaped

GROUPS_MAX = 100_000  # counted apart; all others are one group
_OTHERS = ("…", "…")


class Counts(NamedTuple):
    """Messages and bytes of bodies by exchange and routing key."""

    messages: Counter[tuple[str, str]]
    sizes: Counter[tuple[str, str]]


def count_messages(take: Callable[[], list[Selected]], report: Report) -> Counts:
    """Count all selected events. Those that cannot be messages are noted in the report."""
    counts = Counts(Counter(), Counter())
    while chunk := take():
        for event in chunk:
            message = event.message
            if not isinstance(message, Outgoing):
                report.note(event, Problem.UNPUBLISHABLE, message.reason)
                continue
            group = message.exchange, message.routing_key
            if group not in counts.messages and len(counts.messages) >= GROUPS_MAX:
                group = _OTHERS
            counts.messages[group] += 1
            counts.sizes[group] += len(message.body)
    return counts


def print_counts(counts: Counts) -> None:
    """Print a table, the largest groups first, and a last line with the totals."""
    table = [("exchange", "routing_key", "messages", "bytes")]
    for group, count in sorted(counts.messages.items(), key=lambda pair: (-pair[1], pair[0])):
        exchange, key = (escaped(name) or '""' for name in group)
        table.append((exchange, key, f"{count:,}", f"{counts.sizes[group]:,}"))
    first, second, third, _ = (max(map(len, column)) for column in zip(*table, strict=True))
    last = max(len(size) for *_, size in table)
    for exchange, key, messages, size in table if counts.messages else []:
        print_line(f"{exchange:{first}}  {key:{second}}  {messages:>{third}}  {size:>{last}}")
    total = counted(counts.messages.total(), "message")
    print_line(f"{total}, {counted(counts.sizes.total(), 'byte')} would be published")
