"""Against what is usually done in Python: on each queue type and size, how many times their rate Deedbox archives."""

from consumer.demo.node import Node
from tests.bench import contestants
from tests.bench.contestants import BYTES_A_RUN, Result, cores, drained, print_line
from tests.bench.peers import PEERS

_SHARES = {"write+fsync a message": 20}  # it is slow, and is given fewer messages


def others(messages: int, own_cores: bool) -> None:
    """A row a queue type and size: Deedbox's rate, and how many times the rate of each of the others that is."""
    broker_cores, client_cores = ((0,), (1,)) if own_cores else ((0, 1), (0, 1))
    print_line(f"\n## Deedbox against others, {'cores of their own' if own_cores else 'all on the same cores'}\n")
    print_line("How many times as fast, and their rate; the last two store durably, the others store nothing.\n")
    print_line(f"| queue | body | Deedbox | {' | '.join(PEERS)} |\n|---|---|---|{'---|' * len(PEERS)}")
    with cores(*broker_cores):
        node = Node()
        node.start()
    try:
        with cores(*client_cores):
            for queue_type in ("classic", "quorum"):
                for size in (100, 415, 2300, 65536):
                    _row(node, queue_type, size, min(messages, int(BYTES_A_RUN / size)))
    finally:
        node.close()


def _row(node: Node, queue_type: str, size: int, count: int) -> None:
    def deedbox(queue: str) -> Result:
        return contestants.run_deedbox(node.url, queue, queue_type, count)

    mine = drained(node, queue_type, size, count, deedbox)
    cells = []
    for name in PEERS:
        found = _peer(node, queue_type, size, max(count // _SHARES.get(name, 5), 60), name)
        cells.append(f"{mine.rate / found.rate:.1f} x {found.rate:,.0f}/s")
    print_line(f"| {queue_type} | {size} B | {mine.rate:,.0f}/s | {' | '.join(cells)} |")


def _peer(node: Node, queue_type: str, size: int, count: int, name: str) -> Result:
    return drained(node, queue_type, size, count, lambda queue: contestants.run_peer(name, node.url, queue, count))
