"""Find one event in many archives: the bytes that search reads and its time, against `zstd -dc | grep` and `rg -z`.

usage: python -m tests.bench.haystack DIRECTORY [ARCHIVES] [MIB]      makes them, 10,000 events a second of 415 B and 20 types, and
searches; a hundred of 128 MiB take a quarter of an hour to make, and are kept for the next run
"""

import subprocess
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from random import Random

from codec.event import Event
from consumer.archive.listing import find_archives
from consumer.query.query import Query, make_query
from consumer.query.search import Search
from tests.bench.contestants import print_line
from tests.bench.load import header
from tests.support.archive_logs import START_US, archive_log

BATCH, PER_S, TYPES = 2000, 10_000, 20
SCANNED = 4  # archives for grep and rg, which read all of them


def events(first: int, count: int) -> list[Event]:
    """Events with an id of their own, a hundred microseconds apart; half of each body is hard to compress."""
    made = []
    for serial in range(first, first + count):
        noise = Random(serial).randbytes(150).hex().encode()
        body = b'{"event_type":"compute.instance.update","instance_id":"%032x","n":%d,"pad":"%b"}' % (
            serial * 7919, serial, noise,
        )  # fmt: skip
        at = START_US + serial * 1_000_000 // PER_S
        made.append(
            Event(
                f"0b9b2b6e-ffff-4c4e-8ddc-{serial:012x}",
                f"kind.{serial * 7 % TYPES}",
                at,
                at,
                "x",
                "k",
                header(serial),
                body,
            )
        )
    return made


def fill(directory: Path, archives: int, mib: int) -> None:
    """Make the archives that do not exist yet."""
    if len(find_archives([directory])) >= archives:
        return
    one = archive_log(directory, bytes_max=mib << 20)
    serial, sealed = 0, 0
    while sealed < archives:
        if reason := one.due():
            one.roll(reason)
            sealed += 1
        else:
            one.append(events(serial, BATCH))
            serial += BATCH
    if one.writer is not None:
        one.roll("end")


def measured(name: str, step: Callable[[], object]) -> float:
    began = time.perf_counter()
    found = step()
    taken = time.perf_counter() - began
    print_line(f"{name}: {taken:.2f} s; {found}")
    return taken


def deedbox(directory: Path, query: Query) -> str:
    search = Search([directory], query)
    count = sum(1 for _ in search)
    return f"{count} events; {search.explain()}"


def shell(command: str) -> str:
    done = subprocess.run(command, shell=True, check=False, capture_output=True, text=True)
    return f"{len(done.stdout.splitlines())} lines"


def main() -> None:
    directory = Path(sys.argv[1])
    archives, mib = (int(number) for number in islice([*sys.argv[2:], "100", "128"], 2))
    fill(directory, archives, mib)
    paths = find_archives([directory])
    size = sum(path.stat().st_size for path in paths)
    last = next(iter(Search([directory], make_query(), descending=True))).event
    middle = (START_US + last.time_us) // 2
    wanted = (last.time_us - START_US) * PER_S // 1_000_000 * 2 // 3
    id = f"0b9b2b6e-ffff-4c4e-8ddc-{wanted:012x}"
    print_line(
        f"{len(paths)} archives, {size / 1e9:.2f} GB, {(last.time_us - START_US) * PER_S // 1_000_000 + 1:,} events"
    )
    by_id = measured("search by id", lambda: deedbox(directory, make_query(ids=[id])))
    minute = make_query(since_us=middle, until_us=middle + 60_000_000 - 1, types=["kind.7"])
    measured("search a minute and a type", lambda: deedbox(directory, minute))
    scanned = paths[:SCANNED]
    share = sum(path.stat().st_size for path in scanned) / size
    files = " ".join(map(str, scanned))
    missing = "0b9b2b6e-ffff-4c4e-8ddc-none"
    print_line(f"grep and rg scan {len(scanned)} archives; their time is scaled to all of them")
    grep = measured(
        "zstd -dc | tr | grep", lambda: shell(f"cat {files} | zstd -dc | tr '\\0' '\\n' | grep -a {missing}")
    )
    rg = measured("rg -z", lambda: shell(f"rg -z -a -o {missing} {files}"))
    print_line(
        f"search by id is {grep / share / by_id:,.0f} x as fast as grep and {rg / share / by_id:,.0f} x as fast as rg"
    )


if __name__ == "__main__":
    main()
