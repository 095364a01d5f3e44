"""Publish with confirms: Deedbox's publisher against a C program on librabbitmq, in turn, with the same messages and window.

usage: python -m tests.bench.republish [--messages N] [--pairs N]
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from consumer.amqp.confirmed_publisher import ConfirmedPublisher
from consumer.amqp.outgoing import Outgoing
from consumer.amqp.settled import Numbered, Outcome, Settled, Window
from consumer.demo.node import Node
from tests.bench.contestants import Result, cores, print_line
from tests.bench.load import bodies, declare, header
from tests.support.wire import WirePublisher

WINDOW = Window()
BATCH = 500  # messages given to the publisher at a time
BYTES_A_RUN = 200e6
SIZES = (415, 16_384)


def build_c(directory: Path) -> Path:
    """Compile the C program."""
    program = directory / "republish"
    source = Path(__file__).with_name("republish.c")
    subprocess.run(["gcc", "-O2", "-o", program, source, "-lrabbitmq"], check=True)
    return program


async def publish(url: str, queue: str, size: int, count: int) -> tuple[float, float]:
    """Seconds and CPU seconds from the first publish to the last confirm."""
    messages = [Outgoing("", queue, header(serial), body) for serial, body in enumerate(bodies(size, count))]
    numbered: list[Numbered] = list(enumerate(messages))
    confirmed = 0

    def take(settled: list[Settled]) -> None:
        nonlocal confirmed
        confirmed += sum(one.outcome is Outcome.CONFIRMED for one in settled)

    async with ConfirmedPublisher(url, None, "bench", take, WINDOW) as publisher:
        began, used = time.monotonic(), time.process_time()
        for start in range(0, count, BATCH):
            await publisher.send(numbered[start : start + BATCH])
        await publisher.drain()
        found = time.monotonic() - began, time.process_time() - used
    assert confirmed == count, f"{confirmed} of {count} confirmed"
    return found


def to_new_queue(node: Node, queue_type: str, run: Callable[[str], list[object]], count: int) -> Result:
    """Run a publisher, whose last two words are its seconds and CPU seconds, on a new queue."""
    queue = f"bench-{uuid.uuid4().hex[:8]}"
    publisher = WirePublisher(node.url)
    declare(publisher, queue, queue_type)
    command = [str(word) for word in run(queue)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    publisher.delete(queue)
    publisher.close()
    seconds, used = map(float, done.stdout.split()[-2:])
    return Result(count / seconds, used / count * 1e6)


def pair(node: Node, program: Path, queue_type: str, size: int, count: int) -> tuple[Result, Result]:
    """Deedbox and the C program, one after the other."""
    own = [sys.executable, "-m", "tests.bench.republish", "--one", node.url]
    theirs = [program, node.port]
    return (
        to_new_queue(node, queue_type, lambda queue: [*own, queue, size, count], count),
        to_new_queue(node, queue_type, lambda queue: [*theirs, queue, count, size, WINDOW.messages], count),
    )


def republish(messages: int, pairs: int, own_cores: bool) -> None:
    """The table: queue types and sizes."""
    broker_cores, client_cores = ((0,), (1,)) if own_cores else ((0, 1), (0, 1))
    print_line(
        f"\n## Publishing with confirms against a C program, {'the client on a core of its own' if own_cores else 'all on the same cores'}\n"
    )
    print_line("| queue | body | ratio | Deedbox | C | CPU a message: Deedbox | C |\n|---|---|---|---|---|---|---|")
    with cores(*broker_cores), tempfile.TemporaryDirectory() as directory:
        program = build_c(Path(directory))
        with Node() as node, cores(*client_cores):
            for queue_type in ("classic", "quorum"):
                for size in SIZES:
                    count = min(messages, int(BYTES_A_RUN / size))
                    found = [pair(node, program, queue_type, size, count) for _ in range(pairs)]
                    ratio = statistics.median(mine.rate / limit.rate for mine, limit in found)
                    mine, limit = (sorted(results)[pairs // 2] for results in zip(*found, strict=True))
                    print_line(
                        f"| {queue_type} | {size:,} B | {ratio:.2f} | {mine.rate:,.0f}/s | {limit.rate:,.0f}/s | {mine.cpu_us:.1f} us | {limit.cpu_us:.1f} us |"
                    )


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m tests.bench.republish")
    options.add_argument("--messages", type=int, default=60_000)
    options.add_argument("--pairs", type=int, default=3)
    options.add_argument("--one", nargs=4, metavar=("URL", "QUEUE", "SIZE", "COUNT"), help="one run of Deedbox")
    chosen = options.parse_args()
    if chosen.one:
        url, queue, size, count = chosen.one
        print_line(" ".join(f"{found:.6f}" for found in asyncio.run(publish(url, queue, int(size), int(count)))))
        return
    for own_cores in (True, False):
        republish(chosen.messages, chosen.pairs, own_cores)


if __name__ == "__main__":
    main()
