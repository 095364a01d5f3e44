"""`make bench`: everything side by side in one run, ratios first. A few minutes.

Rates vary by a third on shared machines: each pair is run one after the other, several times, and the median of the ratios counts.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from consumer.demo.broker import ensure_server
from consumer.demo.node import Node
from tests.bench import contestants, one_core, republish, scans, shipping, stages
from tests.bench.contestants import BYTES_A_RUN, Result, cores, drained, print_line
from tests.bench.load import declare
from tests.bench.others import others
from tests.support.wire import WirePublisher


def against_c(
    node: Node, program: Path, queue_type: str, size: int, messages: int, pairs: int
) -> tuple[float, Result, Result]:
    """Deedbox and the C program in turn; the median of the ratios, and the median results."""
    own, theirs = [], []
    for _ in range(pairs):
        theirs.append(
            drained(
                node, queue_type, size, messages, lambda queue: contestants.run_c(program, node.port, queue, messages)
            )
        )
        own.append(
            drained(
                node,
                queue_type,
                size,
                messages,
                lambda queue: contestants.run_deedbox(node.url, queue, queue_type, messages),
            )
        )
    ratio = statistics.median(mine.rate / limit.rate for mine, limit in zip(own, theirs, strict=True))
    middle = len(own) // 2
    return ratio, sorted(own)[middle], sorted(theirs)[middle]


def sustained(program: Path, messages: int, pairs: int, own_cores: bool) -> None:
    """Against the C program that stores nothing: queue types and sizes."""
    broker_cores, client_cores = ((0,), (1,)) if own_cores else ((0, 1), (0, 1))
    with cores(*broker_cores):
        node = Node()
        node.start()
    print_line(
        f"\n## Durable archiving against a C program that stores nothing, {'cores of their own' if own_cores else 'all on the same cores'}\n"
    )
    print_line("| queue | body | ratio | Deedbox | C | CPU a message |\n|---|---|---|---|---|---|")
    try:
        for queue_type in ("classic", "quorum"):
            for size in (100, 415, 2300, 65536):
                count = min(messages, int(BYTES_A_RUN / size))
                with cores(*client_cores):
                    ratio, mine, limit = against_c(node, program, queue_type, size, count, pairs if size == 415 else 1)
                print_line(
                    f"| {queue_type} | {size} B | {ratio:.2f} | {mine.rate:,.0f}/s | {limit.rate:,.0f}/s | {mine.cpu_us:.1f} us |"
                )
    finally:
        node.close()


def flowing(program: Path, messages: int, pairs: int, own_cores: bool) -> None:
    """Publish and consume at the same time, as in production. The publisher shares the broker's cores."""
    broker_cores, client_cores = ((0,), (1,)) if own_cores else ((0, 1), (0, 1))
    print_line(
        f"\n## While it is being published, 415 B, {'the client on a core of its own' if own_cores else 'all on the same cores'}\n"
    )
    print_line("| queue | ratio | Deedbox | C |\n|---|---|---|---|")
    with cores(*broker_cores):
        node = Node()
        node.start()
    try:
        for queue_type in ("classic", "quorum"):
            found = [
                [_flow(node, program, queue_type, messages, client_cores, broker_cores, kind) for kind in "dc"]
                for _ in range(pairs)
            ]
            ratio = statistics.median(mine / limit for mine, limit in found)
            mine, limit = (statistics.median(column) for column in zip(*found, strict=True))
            print_line(f"| {queue_type} | {ratio:.2f} | {mine:,.0f}/s | {limit:,.0f}/s |")
    finally:
        node.close()


def _flow(
    node: Node,
    program: Path,
    queue_type: str,
    messages: int,
    client: tuple[int, ...],
    broker: tuple[int, ...],
    kind: str,
) -> float:
    """Messages a second from the first publish to the last one consumed; `d` for Deedbox, `c` for the C program."""
    queue = f"bench-{uuid.uuid4().hex[:8]}"
    publisher = WirePublisher(node.url)
    declare(publisher, queue, queue_type)
    consume = contestants.deedbox_until if kind == "d" else contestants.c_until
    with cores(*client), consume(node, program, queue, queue_type, messages) as wait_for_end:
        command = [sys.executable, "-m", "tests.bench.load", node.url, queue, "415", str(messages)]
        with cores(*broker):
            began = time.time()
            publishing = subprocess.Popen(command)
        ended = wait_for_end()
        publishing.wait()
    publisher.delete(queue)
    publisher.close()
    return messages / (ended - began)


def parts(messages: int) -> None:
    """By stage, reading, and growth."""
    print_line("\n## CPU a message by stage, us\n")
    found = {size: stages.stages(size) for size in (100, 415, 2300)}
    print_line("| stage | 100 B | 415 B | 2,300 B |\n|---|---|---|---|")
    for name in found[415]:
        print_line(f"| {name} | {' | '.join(f'{found[size][name]:.2f}' for size in found)} |")
    print_line(f"| all | {' | '.join(f'{sum(found[size].values()):.2f}' for size in found)} |")
    print_line("\n## Reading, on one core, and size\n")
    print_line(
        "| body | events | decode | cat | verify | recovery of 1 GiB | size against zstd -3 of the bodies |\n|---|---|---|---|---|---|---|"
    )
    for size, count in ((415, messages // 4), (415, messages), (2300, messages // 4)):
        read = stages.reading(size, count)
        print_line(
            f"| {size} B | {count:,} | {read['decode']:,.0f} MB/s | {read['cat']:,.0f} MB/s | {read['verify']:,.0f} MB/s | {read['recovery']:.1f} s | {read['size']:.2f} |"
        )
    print_line("\n## A start in a directory with many archives\n")
    print_line("| archives | ledger | window read |\n|---|---|---|")
    for archives in (10, 1000, 5000):
        ledger_s, recall_s = stages.starting(archives)
        print_line(f"| {archives:,} | {ledger_s * 1000:.0f} ms | {recall_s * 1000:.0f} ms |")


def main() -> None:
    options = argparse.ArgumentParser(prog="make bench")
    options.add_argument("--messages", type=int, default=60_000)
    options.add_argument("--pairs", type=int, default=3, help="how often the 415 B pairs are run")
    chosen = options.parse_args()
    ensure_server(print_line)
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "",
    )
    broker = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", "rabbitmq-server"], check=False, capture_output=True, text=True
    ).stdout
    print_line(
        f"{os.cpu_count()} cores, {model}; Linux {platform.release()}; Python {platform.python_version()}; RabbitMQ {broker}"
    )
    with tempfile.TemporaryDirectory() as directory:
        program = contestants.build_drain(Path(directory))
        sustained(program, chosen.messages, chosen.pairs, own_cores=True)
        sustained(program, chosen.messages, chosen.pairs, own_cores=False)
        flowing(program, chosen.messages, chosen.pairs, own_cores=True)
        flowing(program, chosen.messages, chosen.pairs, own_cores=False)
    others(chosen.messages // 2, own_cores=True)
    others(chosen.messages // 2, own_cores=False)
    one_core.capacity(chosen.messages)
    one_core.waiting()
    one_core.stalled()
    parts(chosen.messages)
    scans.scan_table(1000, 500)
    shipping.shipping(chosen.pairs)
    for own_cores in (True, False):
        republish.republish(chosen.messages, chosen.pairs, own_cores)


if __name__ == "__main__":
    main()
