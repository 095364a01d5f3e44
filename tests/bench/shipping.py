"""Shipping against plain `obstore.put` of the same files to SeaweedFS: throughput, and memory above idle.

usage: python -m tests.bench.shipping [PAIRS]
Each run is a process of its own, in turn; both send two files at the same time. The time is from the first request to the last answer.
"""

import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from codec.event import Event
from consumer.archive.writing.rolling import RollReason
from consumer.objects.url import ObjectUrl
from consumer.ship.building import shipper_of
from consumer.ship.report import LogReport
from consumer.ship.settings import ShipSection
from tests.bench.contestants import print_line
from tests.support.archive_logs import START_US, archive_log
from tests.support.seaweedfs import seaweedfs
from tests.support.shipping import sealed

UPLOADS = 2
SETS = ((6, 64 << 20), (400, 100_000))  # archives, bytes of each


def make(directory: Path, count: int, size: int) -> None:
    """Archives whose bodies do not compress."""
    log, chance = archive_log(directory), random.Random(count)
    body = min(size, 256 << 10)
    for _ in range(count):
        for serial in range(max(size // body, 1)):
            log.append(
                [Event(str(serial), "type", START_US, START_US, "exchange", "key", b"\0\0", chance.randbytes(body))]
            )
        log.roll(RollReason.SIGNAL)


def plain(directory: Path, url: ObjectUrl) -> None:
    """Put each file, and ask nothing afterwards."""
    import obstore
    from obstore.store import S3Store

    store = S3Store(url.bucket, client_options={"allow_http": True})

    def put(path: Path) -> None:
        obstore.put(store, f"{url.key}/{path.name}", path)

    with ThreadPoolExecutor(UPLOADS) as executor:
        list(executor.map(put, sealed(directory)))


def ship(directory: Path, url: ObjectUrl) -> None:
    """As `deedbox ship --once` does."""
    settings = ShipSection(destinations=(str(url),), uploads=UPLOADS, digest_s=0.0)
    (result,) = shipper_of(directory, settings, LogReport()).once().values()
    assert result.is_complete, result


RUNS: dict[str, Callable[[Path, ObjectUrl], None]] = {"plain": plain, "ship": ship}


def measure(kind: str, directory: Path, url: ObjectUrl) -> None:
    """Print the seconds of a run, and its memory above that of a process that has sent one request."""
    empty = directory.parent / "empty"
    empty.mkdir(exist_ok=True)
    ship(empty, url / "nothing")  # imports, connection
    idle = int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    began = time.perf_counter()
    RUNS[kind](directory, url)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print_line(json.dumps({"seconds": seconds, "memory": peak - idle}))


def run(kind: str, directory: Path, url: ObjectUrl, environ: dict[str, str]) -> dict[str, float]:
    """One run in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.shipping", kind, str(directory), str(url)]
    out = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | environ).stdout
    found: dict[str, float] = json.loads(out.splitlines()[-1])
    return found


def shipping(pairs: int) -> None:
    """The table."""
    print_line("\n## Shipping to SeaweedFS against plain obstore.put of the same files, two at a time\n")
    print_line("| archives | ratio | Deedbox | obstore.put | memory of Deedbox above idle | of obstore.put |")
    print_line("|---|---|---|---|---|---|")
    for count, size in SETS:
        with tempfile.TemporaryDirectory() as place:
            root = Path(place)
            (root / "weed").mkdir()
            make(root / "archive", count, size)
            server, s3 = seaweedfs(root / "weed")
            with server:
                s3.make_bucket("bucket")
                print_line(_row(root / "archive", count, size, pairs, s3.environ()))


def _row(directory: Path, count: int, size: int, pairs: int, environ: dict[str, str]) -> str:
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in RUNS}
    for number in range(pairs):
        for kind in RUNS:
            url = ObjectUrl("s3", "bucket", f"{kind}-{number}")
            found[kind].append(run(kind, directory, url, environ))
    times = zip(found["plain"], found["ship"], strict=True)
    ratio = statistics.median(theirs["seconds"] / own["seconds"] for theirs, own in times)
    amount = sum(path.stat().st_size for path in sealed(directory)) / 1e6
    rates = [amount / statistics.median(one["seconds"] for one in found[kind]) for kind in ("ship", "plain")]
    memory = [max(one["memory"] for one in found[kind]) / 2**20 for kind in ("ship", "plain")]
    return (
        f"| {count} of {size / 2**20:.1f} MiB | {ratio:.2f} | {rates[0]:,.0f} MB/s | {rates[1]:,.0f} MB/s "
        f"| {memory[0]:.0f} MB | {memory[1]:.0f} MB |"
    )


if __name__ == "__main__":
    if len(sys.argv) == 4:
        measure(sys.argv[1], Path(sys.argv[2]), ObjectUrl.parse(sys.argv[3]))
    else:
        shipping(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
