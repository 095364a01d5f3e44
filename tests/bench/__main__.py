"""`make bench`: everything side by side in one run, ratios first. A few minutes.

Rates swing by a third on shared machines: each pair is run in turn, several times, and the median of the ratios counts.
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
from collections.abc import Callable
from pathlib import Path

from consumer.demo.broker import ensure_server
from consumer.demo.node import Node
from tests.bench import contestants, stages
from tests.bench.contestants import Result, cores
from tests.bench.load import declare, fill
from tests.bench.peers import PEERS
from tests.support.mounts import small_ext4
from tests.support.process import Deedbox
from tests.support.wire import WirePublisher

BYTES_A_RUN = 60e6  # how much a queue is filled with, at most


def say(text: str = "") -> None:
    print(text, flush=True)


def drained(node: Node, queue_type: str, size: int, messages: int, run: Callable[[str], Result]) -> Result:
    """Fill a queue and let a contestant drain it."""
    queue = f"bench-{uuid.uuid4().hex[:8]}"
    publisher = WirePublisher(node.url)
    declare(publisher, queue, queue_type)
    fill(publisher, queue, size, messages)
    result = run(queue)
    publisher.delete(queue)
    publisher.close()
    return result


def against_c(
    node: Node, program: Path, queue_type: str, size: int, messages: int, pairs: int
) -> tuple[float, Result, Result]:
    """Deedbox and the C program in turn; the median of the ratios, and the median results."""
    ours, theirs = [], []
    for _ in range(pairs):
        theirs.append(
            drained(
                node, queue_type, size, messages, lambda queue: contestants.run_c(program, node.port, queue, messages)
            )
        )
        ours.append(
            drained(
                node,
                queue_type,
                size,
                messages,
                lambda queue: contestants.run_deedbox(node.url, queue, queue_type, messages),
            )
        )
    ratio = statistics.median(mine.rate / limit.rate for mine, limit in zip(ours, theirs, strict=True))
    middle = len(ours) // 2
    return ratio, sorted(ours)[middle], sorted(theirs)[middle]


def sustained(program: Path, messages: int, pairs: int, own_cores: bool) -> None:
    """Against the C program that stores nothing: queue types and sizes."""
    broker_cores, client_cores = ((0,), (1,)) if own_cores else ((0, 1), (0, 1))
    with cores(*broker_cores):
        node = Node()
        node.start()
    say(
        f"\n## Durable archiving against a C program that stores nothing, {'cores of their own' if own_cores else 'all on the same cores'}\n"
    )
    say("| queue | body | ratio | Deedbox | C | CPU a message |\n|---|---|---|---|---|---|")
    try:
        for queue_type in ("classic", "quorum"):
            for size in (100, 415, 2300, 65536):
                count = min(messages, int(BYTES_A_RUN / size))
                with cores(*client_cores):
                    ratio, mine, limit = against_c(node, program, queue_type, size, count, pairs if size == 415 else 1)
                say(
                    f"| {queue_type} | {size} B | {ratio:.2f} | {mine.rate:,.0f}/s | {limit.rate:,.0f}/s | {mine.cpu_us:.1f} us |"
                )
    finally:
        node.close()


def flowing(program: Path, messages: int, pairs: int, own_cores: bool) -> None:
    """Published and consumed at the same time: what a service lives with. The publisher shares the broker's cores."""
    broker_cores, client_cores = ((0,), (1,)) if own_cores else ((0, 1), (0, 1))
    say(
        f"\n## While it is being published, 415 B, {'the client on a core of its own' if own_cores else 'all on the same cores'}\n"
    )
    say("| queue | ratio | Deedbox | C |\n|---|---|---|---|")
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
            say(f"| {queue_type} | {ratio:.2f} | {mine:,.0f}/s | {limit:,.0f}/s |")
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


def peers(messages: int, own_cores: bool) -> None:
    """Against what is usually done in Python, classic queue, 415 B."""
    broker_cores, client_cores = ((0,), (1,)) if own_cores else ((0, 1), (0, 1))
    say(
        f"\n## Against others: classic queue, 415 B, {'cores of their own' if own_cores else 'all on the same cores'}\n"
    )
    say("| who | stores | rate | Deedbox is | CPU a message |\n|---|---|---|---|---|")
    with cores(*broker_cores):
        node = Node()
        node.start()
    try:
        with cores(*client_cores):
            mine = _drained_by_deedbox(node, messages)
            say(f"| Deedbox | durably | {mine.rate:,.0f}/s | 1 | {mine.cpu_us:.1f} us |")
            for name in PEERS:
                found = _drained_by_peer(node, name, messages // (50 if "fsync" in name else 5))
                stores = "durably" if "fsync" in name or "batches" in name else "nothing"
                ratio = mine.rate / found.rate
                say(f"| {name} | {stores} | {found.rate:,.0f}/s | {ratio:.1f} x | {found.cpu_us:.1f} us |")
    finally:
        node.close()


def _drained_by_deedbox(node: Node, messages: int) -> Result:
    def run(queue: str) -> Result:
        return contestants.run_deedbox(node.url, queue, "classic", messages)

    return drained(node, "classic", 415, messages, run)


def _drained_by_peer(node: Node, name: str, messages: int) -> Result:
    def run(queue: str) -> Result:
        return contestants.run_peer(name, node.url, queue, messages)

    return drained(node, "classic", 415, messages, run)


def replayed(messages: int, size: int, rate: int) -> tuple[float, float, float, float, int]:
    """Rate, p50 and p99 of delivery to ack in ms, CPU a message in us, and the peak of memory in MB, against the replay server."""
    with cores(0):
        command = [sys.executable, "-m", "tests.bench.replay", str(messages), str(size), str(rate)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    port = int(server.stdout.readline())
    with tempfile.TemporaryDirectory() as directory, cores(1):
        arguments = (
            "--url",
            f"amqp://guest:guest@127.0.0.1:{port}/",
            "--queue",
            "q",
            "--set",
            "broker.queue_type=classic",
        )
        with Deedbox(Path(directory) / "archive", *arguments) as deedbox:
            deedbox.wait_for("consuming")
            assert deedbox.process is not None
            used = contestants.cpu_s(deedbox.process.pid)
            seconds, p50, p99 = map(float, server.stdout.readline().split())
            used = contestants.cpu_s(deedbox.process.pid) - used
            peak = peak_mb(deedbox.process.pid)
            deedbox.stop()
    server.wait()
    return messages / seconds, p50, p99, used / messages * 1e6, peak


def capacity(messages: int) -> None:
    """What one core can archive, and how long a delivery waits for its ack."""
    say("\n## One core, against a server that sends as fast as it is read\n")
    say("| body | rate | CPU a message | memory, at most |\n|---|---|---|---|")
    for size in (100, 415, 2300, 65536):
        count = min(2 * messages, int(2 * BYTES_A_RUN / size))
        rate, _, _, used, peak = replayed(count, size, 0)
        say(f"| {size} B | {rate:,.0f}/s | {used:.1f} us | {peak} MB |")
    say("\n## Delivery to durable ack, 415 B\n")
    say("| rate | p50 | p99 |\n|---|---|---|")
    for rate, count in ((100, 500), (1000, 5000), (10_000, 50_000)):
        _, p50, p99, _, _ = replayed(count, 415, rate)
        say(f"| {rate:,}/s | {p50:.1f} ms | {p99:.1f} ms |")


def stalled() -> None:
    """Memory while the disk does not answer: the window is full of large bodies, and the socket is not read any more."""
    say("\n## Memory under a stalled disk, 64 KiB bodies\n")
    if os.geteuid() != 0:
        say("Not measured: freezing a file system takes root.")
        return
    command = [sys.executable, "-m", "tests.bench.replay", "6000", "65536", "0"]
    with tempfile.TemporaryDirectory() as directory, small_ext4(Path(directory), mib=64) as disk:
        # It is cut off in the middle, and complains.
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert server.stdout is not None
        port = int(server.stdout.readline())
        arguments = ("--url", f"amqp://guest:guest@127.0.0.1:{port}/", "--queue", "q", "--set", "broker.queue_type=classic",
                     "--set", "archive.free_bytes_min=0", "--set", "service.stats_s=0.1")  # fmt: skip
        with Deedbox(disk / "archive", *arguments, log=Path(directory) / "log") as deedbox:
            deedbox.wait_for("started")
            subprocess.run(["fsfreeze", "-f", disk], check=True)
            deedbox.wait_until(lambda: _is_full(deedbox), "nothing more is read")
            held = max(int(str(line["held_bytes"])) for line in deedbox.lines("stats")) >> 20
            assert deedbox.process is not None
            peak = peak_mb(deedbox.process.pid)
            subprocess.run(["fsfreeze", "-u", disk], check=True)
        server.kill()
    window = 4000 * 65536 >> 20
    say(
        f"{peak} MB at most, {held} MiB of them held deliveries (bound: 32 MiB and a read); the window of 4,000 would be {window} MiB."
    )


def _is_full(deedbox: Deedbox) -> bool:
    """Whether what is held has stopped growing."""
    held = [line["held_bytes"] for line in deedbox.lines("stats")][-5:]
    return len(held) == 5 and held[0] == held[-1] != 0


def peak_mb(pid: int) -> int:
    """The most memory that a process has had."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024


def parts(messages: int) -> None:
    """By stage, reading, and growth."""
    say("\n## CPU a message by stage, us\n")
    found = {size: stages.stages(size) for size in (100, 415, 2300)}
    say("| stage | 100 B | 415 B | 2,300 B |\n|---|---|---|---|")
    for name in found[415]:
        say(f"| {name} | {' | '.join(f'{found[size][name]:.2f}' for size in found)} |")
    say(f"| all | {' | '.join(f'{sum(found[size].values()):.2f}' for size in found)} |")
    say("\n## Reading, on one core, and size\n")
    say(
        "| body | events | decode | cat | verify | recovery of 1 GiB | size against zstd -3 of the bodies |\n|---|---|---|---|---|---|---|"
    )
    for size, count in ((415, messages // 4), (415, messages), (2300, messages // 4)):
        read = stages.reading(size, count)
        say(
            f"| {size} B | {count:,} | {read['decode']:,.0f} MB/s | {read['cat']:,.0f} MB/s | {read['verify']:,.0f} MB/s | {read['recovery']:.1f} s | {read['size']:.2f} |"
        )
    say("\n## A start in a directory of so many archives\n")
    say("| archives | ledger | window recalled |\n|---|---|---|")
    for archives in (10, 1000, 5000):
        ledger_s, recall_s = stages.starting(archives)
        say(f"| {archives:,} | {ledger_s * 1000:.0f} ms | {recall_s * 1000:.0f} ms |")


def main() -> None:
    options = argparse.ArgumentParser(prog="make bench")
    options.add_argument("--messages", type=int, default=60_000)
    options.add_argument("--pairs", type=int, default=3, help="how often the 415 B pairs are run")
    chosen = options.parse_args()
    ensure_server(say)
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
    say(
        f"{os.cpu_count()} cores, {model}; Linux {platform.release()}; Python {platform.python_version()}; RabbitMQ {broker}"
    )
    with tempfile.TemporaryDirectory() as directory:
        program = contestants.build_drain(Path(directory))
        sustained(program, chosen.messages, chosen.pairs, own_cores=True)
        sustained(program, chosen.messages, chosen.pairs, own_cores=False)
        flowing(program, chosen.messages, chosen.pairs, own_cores=True)
        flowing(program, chosen.messages, chosen.pairs, own_cores=False)
    peers(chosen.messages, own_cores=True)
    peers(chosen.messages, own_cores=False)
    capacity(chosen.messages)
    stalled()
    parts(chosen.messages)


if __name__ == "__main__":
    main()
