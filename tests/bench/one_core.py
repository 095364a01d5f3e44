"""Against the replay server: what one core archives, how long a message waits, and the memory under a stalled disk."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from consumer.demo.node import Node
from tests.bench import contestants
from tests.bench.contestants import BYTES_A_RUN, cores, print_line
from tests.bench.latency import latency
from tests.support.mounts import small_ext4
from tests.support.process import Deedbox


def replayed(messages: int, size: int, rate: int) -> tuple[float, float, float, float, int]:
    """Rate, p50 and p99 of delivery to ack in ms, CPU a message in us, and the peak of memory in MB, against the replay server."""
    with cores(0):
        command = [sys.executable, "-m", "tests.bench.replay", str(messages), str(size), str(rate)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    port = int(server.stdout.readline())
    with (
        tempfile.TemporaryDirectory() as directory,
        cores(1),
        Deedbox(Path(directory) / "archive", *_arguments(port)) as deedbox,
    ):
        deedbox.wait_for("consuming")
        assert deedbox.process is not None
        used = contestants.cpu_s(deedbox.process.pid)
        seconds, p50, p99 = map(float, server.stdout.readline().split())
        used = contestants.cpu_s(deedbox.process.pid) - used
        peak = peak_mb(deedbox.process.pid)
        deedbox.stop()
    server.wait()
    return messages / seconds, p50, p99, used / messages * 1e6, peak


def _arguments(port: int) -> tuple[str, ...]:
    """The replay server answers only the requests of a consumer: nothing is declared."""
    return ("--url", f"amqp://guest:guest@127.0.0.1:{port}/", "--queue", "q", "--set", "broker.declare=none")


def capacity(messages: int) -> None:
    """What one core can archive."""
    print_line("\n## One core, against a server that sends as fast as it is read\n")
    print_line("| body | rate | CPU a message | memory, at most |\n|---|---|---|---|")
    for size in (100, 415, 2300, 65536):
        count = min(2 * messages, int(2 * BYTES_A_RUN / size))
        rate, _, _, used, peak = replayed(count, size, 0)
        print_line(f"| {size} B | {rate:,.0f}/s | {used:.1f} us | {peak} MB |")
    print_line("\n## How that grows with the number of messages, 415 B\n")
    print_line("| messages | rate | CPU a message | memory, at most |\n|---|---|---|---|")
    for count in (messages // 2, 2 * messages, 8 * messages):
        rate, _, _, used, peak = replayed(count, 415, 0)
        print_line(f"| {count:,} | {rate:,.0f}/s | {used:.1f} us | {peak} MB |")


def waiting() -> None:
    """How long a message waits for its ack, and what it costs, by rate."""
    print_line("\n## Publish to durable ack, 415 B\n")
    print_line(
        "| rate | through RabbitMQ: p50 | p99 | from the replay server: p50 | p99 | CPU a message |\n|---|---|---|---|---|---|"
    )
    with cores(0):
        node = Node()
        node.start()
    try:
        for rate, count in ((100, 500), (1000, 5000), (10_000, 50_000)):
            p50, p99 = latency(node, rate, count)
            _, own50, own99, used, _ = replayed(count, 415, rate)
            print_line(
                f"| {rate:,}/s | {p50:.1f} ms | {p99:.1f} ms | {own50:.1f} ms | {own99:.1f} ms | {used:.0f} us |"
            )
    finally:
        node.close()


def stalled() -> None:
    """Memory while the disk does not answer: the window is full of large bodies, and the socket is not read any more."""
    print_line("\n## Memory under a stalled disk, 64 KiB bodies\n")
    if os.geteuid() != 0:
        print_line("Not measured: freezing a file system takes root.")
        return
    command = [sys.executable, "-m", "tests.bench.replay", "6000", "65536", "0"]
    with tempfile.TemporaryDirectory() as directory, small_ext4(Path(directory), mib=64) as disk:
        # It is cut off in the middle, and prints errors.
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert server.stdout is not None
        port = int(server.stdout.readline())
        arguments = (*_arguments(port), "--set", "archive.free_bytes_min=0", "--set", "service.stats_s=0.1")
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
    print_line(
        f"{peak} MB at most, {held} MiB of them held deliveries (bound: 32 MiB and a read); the window of 4,000 would be {window} MiB."
    )


def _is_full(deedbox: Deedbox) -> bool:
    """Whether the number of held bytes has stopped growing."""
    held = [line["held_bytes"] for line in deedbox.lines("stats")][-5:]
    return len(held) == 5 and held[0] == held[-1] != 0


def peak_mb(pid: int) -> int:
    """The most memory that a process has had."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024
