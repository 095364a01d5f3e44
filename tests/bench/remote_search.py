"""Find one event by its id in many archives in object storage: bytes, requests and time, against downloading all and `zstd -dc | grep`.

usage: python -m tests.bench.remote_search [ARCHIVES] [DIRECTORY]      1,000 archives of 1 to 2 MiB, bodies of 415 B and of up to 2 KB, in a
private SeaweedFS; needs twice their size on the disk of DIRECTORY (default: that of temporary files), and removes everything at its end
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from os import urandom
from pathlib import Path

import pytest

from codec.event import Event
from consumer.archive.listing import find_archives
from consumer.archive.reading.footer_cache import FooterCache, use_cache
from consumer.archive.reading.in_threads import in_threads
from consumer.objects.stores import configure, store_of
from consumer.objects.url import ObjectUrl
from consumer.query.query import make_query
from consumer.query.search import Search
from tests.bench.contestants import print_line
from tests.bench.load import header
from tests.support.archive_logs import START_US, archive_log
from tests.support.counting_store import counted
from tests.support.rolling import Unsynced
from tests.support.seaweedfs import seaweedfs

BATCH, PER_S, TYPES, ARCHIVE_BYTES = 2000, 10_000, 20, 1 << 20
HEADER = header(1)
SIZES = (415, 415, 415, 2000)  # of bodies; half of each is hard to compress


def id_of(serial: int) -> str:
    return f"0b9b2b6e-ffff-4c4e-8ddc-{serial:012x}"


def events(first: int, count: int) -> Iterator[Event]:
    """Events with an id of their own, a hundred microseconds apart."""
    noise = urandom(count * 1000)
    for serial in range(first, first + count):
        size = SIZES[serial % len(SIZES)] - 115
        at = (serial - first) * 1000
        body = b'{"event_type":"compute.instance.update","instance_id":"%032x","n":%d,"pad":"%b"}' % (
            serial * 7919, serial, noise[at : at + size // 2].hex().encode(),
        )  # fmt: skip
        now = START_US + serial * 1_000_000 // PER_S
        yield Event(id_of(serial), f"kind.{serial * 7 % TYPES}", now, now, "x", "k", HEADER, body)


def fill(directory: Path, prefix: ObjectUrl, archives: int) -> int:
    """Make archives, and move each one to the storage. Returns the number of events."""
    log = archive_log(directory, Unsynced(), bytes_max=ARCHIVE_BYTES)
    serial = sealed = 0
    while sealed < archives:
        if reason := log.due():
            log.roll(reason)
            sealed += 1
            (path,) = find_archives([directory])
            store_of(prefix).put(prefix / str(path.relative_to(directory)), path.read_bytes(), {})
            path.unlink()
        else:
            log.append(list(events(serial, BATCH)))
            serial += BATCH
    return serial


def searched(name: str, prefix: ObjectUrl, id: str) -> float:
    """Search for an id, and print what it cost. Returns the seconds."""
    with pytest.MonkeyPatch.context() as patch:
        store = counted(patch, prefix)
        search = Search([prefix], make_query(ids=[id]))
        began = time.perf_counter()
        found = sum(1 for _ in search)
        taken = time.perf_counter() - began
    assert (found, search.faults) == (1, []), (found, search.faults)
    share = 100 * store.read_bytes / search.bytes
    requests = sum(store.requests.values())
    print_line(
        f"| search by id, {name} | {taken:.2f} s | {store.read_bytes:,} | {share:.3f} % | {requests:,} | {store.most} |"
    )
    return taken


def grepped(prefix: ObjectUrl, id: str) -> float:
    """Download everything, by eight requests at a time, and search it as it arrives. Returns the seconds."""
    store, urls = store_of(prefix), find_archives([prefix])
    began = time.perf_counter()
    command = subprocess.Popen(f"zstd -dc | grep -zac {id}", shell=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert command.stdin is not None
    assert command.stdout is not None
    size = 0
    for raw in in_threads(store.get, urls, 8):
        command.stdin.write(raw)
        size += len(raw)
    command.stdin.close()
    found = int(command.stdout.read())
    command.wait()
    taken = time.perf_counter() - began
    assert found > 0
    print_line(f"| download all, `zstd -dc \\| grep` | {taken:.2f} s | {size:,} | 100 % | {len(urls):,} | 8 |")
    return taken


def measure(directory: Path, archives: int) -> None:
    server, s3 = seaweedfs(directory)
    with server:
        s3.make_bucket("bench")
        configure(s3.settings())
        prefix = ObjectUrl("s3", "bench", "archive")
        count = fill(directory / "archive", prefix, archives)
        print_line(f"{archives:,} archives, {count:,} events\n")
        print_line("| what | time | bytes | share of all | requests | at the same time |\n|---|---|---|---|---|---|")
        use_cache(FooterCache(directory / "cache", 256 << 20))
        cold = searched("cold cache", prefix, id_of(count * 2 // 3))
        searched("warm cache, the same id", prefix, id_of(count * 2 // 3))
        searched("warm cache, another id", prefix, id_of(count // 3))
        use_cache(None)
        searched("no cache", prefix, id_of(count // 2))
        print_line(f"\nsearch by id is {grepped(prefix, id_of(count * 2 // 3)) / cold:,.0f} x as fast")


def main() -> None:
    archives, place = islice([*sys.argv[1:], *("1000", None)[len(sys.argv) - 1 :]], 2)
    with tempfile.TemporaryDirectory(dir=place) as directory:
        measure(Path(directory), int(archives or 1000))


if __name__ == "__main__":
    main()
