"""SQL over archives against exporting them to Parquet and asking DuckDB: time, and memory of all processes together.

usage: python -m tests.bench.sql DIRECTORY [EVENTS]      makes the archives (10 million events need 1.7 GB and five minutes; they are kept
for the next run) and the Parquet files (twice that, removed at the end), and asks both
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from consumer.archive.listing import find_archives
from consumer.archive.reading.summary import summarize
from tests.bench.contestants import print_line
from tests.bench.haystack import BATCH, PER_S, events
from tests.support.archive_logs import START_US, archive_log

QUERIES = {
    "count": "select count(*) from events",
    "by type": "select type, count(*), max(time) from events group by 1",
    "one minute": "select type, count(*) from events where time between to_timestamp({middle}) and to_timestamp({middle} + 60) group by 1",
    "bytes of bodies": "select type, sum(octet_length(body)) from events group by 1",
    "a field of JSON": "select sum((text->>'$.n')::bigint) from events",
    "join": "select count(*) from events a join events b using (id) where a.type = 'kind.3' and b.type <> 'kind.4'",
}
ASKED = 'import duckdb, sys; print(duckdb.sql(f"""with events as (from read_parquet(\'{sys.argv[1]}/*/*/*.parquet\', hive_partitioning = true)) {sys.argv[2]}""").fetchall()[:3])'


class Cost(NamedTuple):
    """What a command cost. `peak`: bytes of memory of its processes together, shared pages counted once."""

    seconds: float
    cpu: float
    peak: int

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s (CPU {self.cpu:.1f} s), {self.peak >> 20:,} MB"


def fill(directory: Path, count: int) -> None:
    """Make the archives, if there are none."""
    if find_archives([directory]):
        return
    one = archive_log(directory, bytes_max=128 << 20)
    for serial in range(0, count, BATCH):
        if reason := one.due():
            one.roll(reason)
        one.append(events(serial, BATCH))
    if one.writer is not None:
        one.roll("end")


def measured(*command: object) -> Cost:
    """Run a command to its end."""
    before, began = os.times(), time.perf_counter()
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL, start_new_session=True)
    peak = [0]
    done = threading.Event()
    sampling = threading.Thread(target=_sample, args=(process.pid, peak, done))
    sampling.start()
    if process.wait():
        raise RuntimeError(f"{command[0]} failed with status {process.returncode}")
    seconds, after = time.perf_counter() - began, os.times()
    done.set()
    sampling.join()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(seconds, cpu, peak[0])


def _sample(session: int, peak: list[int], done: threading.Event) -> None:
    while not done.wait(0.1):
        peak[0] = max(peak[0], sum(_memory(pid) for pid in _processes(session)))


def _processes(session: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session:
            found.append(int(path.parent.name))
    return found


def _memory(pid: int) -> int:
    """The proportional set size of a process, in bytes."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


def compare(directory: Path, count: int) -> None:
    """Print the table of all queries."""
    fill(directory, count)
    paths = find_archives([directory])
    size = sum(path.stat().st_size for path in paths if isinstance(path, Path))
    found = sum(summarize(path).events for path in paths)
    middle = START_US // 1_000_000 + found // PER_S // 2
    print_line(f"{found:,} events, {len(paths)} archives, {size / 1e9:.2f} GB\n")
    out = directory.with_name(f"{directory.name}-parquet")
    shutil.rmtree(out, ignore_errors=True)
    deedbox = (sys.executable, "-m", "consumer")
    try:
        exported = measured(*deedbox, "export", directory, "--format", "parquet", "--out", out)
        parquet = sum(path.stat().st_size for path in out.rglob("*.parquet"))
        print_line(f"export to Parquet: {exported}; {parquet / 1e9:.2f} GB\n")
        print_line(
            "| query | `sql` on the archives | DuckDB on the Parquet files | with the export |\n|---|---|---|---|"
        )
        for name, text in QUERIES.items():
            query = text.format(middle=middle)
            own = measured(*deedbox, "sql", query, directory)
            theirs = measured(sys.executable, "-c", ASKED, out, query.replace("type", "event_type"))
            ratio = (exported.seconds + theirs.seconds) / own.seconds
            print_line(
                f"| {name} | {own} | {theirs} | {exported.seconds + theirs.seconds:.0f} s: {ratio:.1f} times as long |"
            )
    finally:
        shutil.rmtree(out, ignore_errors=True)


def main() -> None:
    directory, count = islice([*sys.argv[1:], "10000000"], 2)
    compare(Path(directory), int(count))


if __name__ == "__main__":
    main()
