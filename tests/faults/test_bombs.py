"""Small files that would take gigabytes: each command names them, or reads them, within a bound."""

import gzip
import json
import os
import struct
import subprocess
import sys
import time
import zlib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from xxhash import xxh3_64_intdigest

from codec import archive as container
from codec import kvp, parts
from codec.archive import Head
from codec.event import Event
from codec.foreign import cloudinit
from codec.limits import UNPACKED_BYTES_MAX
from codec.parts import checksum_of
from codec.profiles import RECORD_BYTES
from tests.support import archives
from tests.support.archive_logs import START_US, archive_log, some

MIB = 1 << 20
GIB = 1 << 30
ADDRESS_SPACE = 1024 * MIB  # of which a Python with its libraries takes about 400
NAME = "20251121T161500.000000Z-20251121T161500.000000Z-one-00000001.kvp.zst"
HEAD = container.encode_head(Head("one", 1, START_US, ""))


class Ended(NamedTuple):
    status: int
    error: str
    rss: int
    seconds: float


# In between, because a process inherits the peak of the one that it was forked from.
LAUNCH = """
import json, os, resource, subprocess, sys
limit = int(sys.argv[1])
process = subprocess.Popen(sys.argv[2:], stdout=sys.stderr, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
_, status, usage = os.wait4(process.pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024]))
"""


def run(*arguments: object, address_space: int = ADDRESS_SPACE, out: bool = True) -> Ended:
    """A command in a process of its own, which gets no more memory than that; so do the workers that it starts."""
    began = time.monotonic()
    command = [sys.executable, "-m", "consumer", *map(str, arguments)]
    if not out:
        command = ["sh", "-c", '"$@" >/dev/null', "sh", *command]
    done = subprocess.run(
        [sys.executable, "-c", LAUNCH, str(address_space), *command], capture_output=True, text=True, check=True
    )
    status, rss = json.loads(done.stdout)
    return Ended(status, done.stderr, rss, time.monotonic() - began)


def forged(records: Iterator[bytes], count: int, events: int) -> bytes:
    """An open archive with one batch, whose checksums hold."""
    compressor = container.zstd.ZstdCompressor(1)
    frame = b"".join(compressor.compress(piece) for piece in records) + compressor.flush()
    body = struct.pack(
        "<IIIIIIqqqqQQ",
        0, count, events, len(frame), count * RECORD_BYTES, 0, START_US, START_US, START_US, START_US,
        xxh3_64_intdigest(frame), checksum_of(HEAD),
    )  # fmt: skip
    return HEAD + parts.encode_part(parts.PartKind.BATCH_HEADER, body) + frame


def small_records(count: int) -> Iterator[bytes]:
    (record,) = kvp.encode(Event("i", "t", START_US, START_US, "", "", b"\0\0", b"x" * 1500), "one-00000001.0")
    yield from (record * 1000 for _ in range(count // 1000))


READING = [("verify",), ("cat",), ("cat", "--format", "kvp"), ("search",), ("search", "--workers", "2"), ("ls",)]


@pytest.mark.parametrize("command", READING, ids=" ".join)
@pytest.mark.parametrize("events", [300_000, 1], ids=["in many events", "in one event"])
def test_an_archive_of_94_kB_does_not_take_gigabytes(tmp_path: Path, command: tuple[str, ...], events: int) -> None:
    path = tmp_path / NAME
    path.write_bytes(forged(small_records(300_000), 300_000, events))
    assert path.stat().st_size < 120_000
    unread = command == ("ls",) or (events == 1 and "kvp" in command)  # records are passed on as they are
    ended = run(*command, path, out="kvp" not in command)
    assert unread or ended.status == 1
    assert unread or "at most" in ended.error or "1 expected" in ended.error
    assert "Traceback" not in ended.error
    assert ended.rss < 250 * MIB


@pytest.mark.parametrize("command", [("verify",), ("cat",), ("search",)], ids=" ".join)
def test_memory_is_bounded_by_the_largest_event(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Its body is held once; a command that prints it also holds its JSON line."""
    size = 96 * MIB
    one = archive_log(tmp_path / "archive")
    one.append([*some(0, 3), some(3, 1)[0]._replace(body=b"text" * (size // 4)), *some(4, 2)])
    one.roll("test")
    ended = run(*command, tmp_path / "archive", address_space=2048 * MIB, out=False)
    assert (ended.status, ended.error) == (0, "")
    assert ended.rss < 200 * MIB + {"verify": 1.2, "cat": 4, "search": 4}[command[0]] * size


def test_a_sparse_footer_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / NAME
    footer = parts.PREFIX.pack(parts.SKIPPABLE, GIB, b"DEED", parts.PartKind.FOOTER, 1, 0)
    path.write_bytes(forged(small_records(1000), 1000, 1000) + footer)
    os.truncate(path, 2 * GIB)
    ended = run("verify", path)
    assert ended.status == 1
    assert "Traceback" not in ended.error
    assert ended.rss < 200 * MIB


def test_a_sparse_open_archive_does_not_end_the_start(tmp_path: Path) -> None:
    """Gigabytes of holes were read whole, to be kept aside."""
    directory = tmp_path / "archive"
    one = archive_log(directory, instance="import")
    one.append(some(0, 3))
    assert one.writer is not None
    one.writer.abandon()
    os.truncate(one.writer.path, GIB)
    (directory / "import-00000007.kvp.zst.open").touch()
    os.truncate(directory / "import-00000007.kvp.zst.open", GIB)
    (tmp_path / "lines").write_text('{"a":1}\n')
    ended = run("import", tmp_path / "lines", "--format", "jsonl", "--dir", directory)
    assert ended.status == 0, ended.error
    assert ended.rss < 200 * MIB
    assert len(archives.events(directory)) == 4
    for aside in directory.glob("*.torn"):
        assert aside.stat().st_size > GIB // 2
        assert aside.stat().st_blocks * 512 < 10 * MIB


@pytest.mark.parametrize("packed", [True, False], ids=["gzip", "plain"])
def test_lines_without_an_end_are_skipped_in_linear_time(tmp_path: Path, packed: bool) -> None:
    """300 MiB without a line feed took a minute and a gigabyte."""
    opened = gzip.open if packed else open
    with opened(tmp_path / "lines", "wb") as file:
        for size in (100, 300):
            for _ in range(size):
                file.write(b"[],[],[]" * (MIB // 8))
            file.write(b"\n")
        file.write(b'{"a":1}\n')
    ended = run("import", tmp_path / "lines", "--format", "jsonl", "--dir", tmp_path / "archive")
    assert ended.status == 1
    assert "at 104857601: 314572800 bytes: damaged: line of 314572800 bytes, at most 201326592 allowed" in ended.error
    assert "1 event, 2 parts skipped" in ended.error
    assert ended.rss < 650 * MIB
    assert ended.seconds < 30
    assert [event.body for event in archives.events(tmp_path / "archive")] == [b'{"a":1}']


def test_long_json_lines_never_become_objects(tmp_path: Path) -> None:
    (tmp_path / "lines").write_bytes(b"[" + b"[]," * (40 * MIB) + b"[]]\n")
    ended = run(
        "import", tmp_path / "lines", "--format", "jsonl", "--dir", tmp_path / "archive", address_space=3072 * MIB
    )
    assert ended.status == 0, ended.error
    assert ended.rss < 1600 * MIB  # as objects, 8 GiB


def test_a_compressed_event_of_cloud_init_has_a_limit(tmp_path: Path) -> None:
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(MIB)) for _ in range(10 * UNPACKED_BYTES_MAX // MIB)) + packer.flush()
    body = json.dumps({"encoding": "gz+b64", "data": b64encode(packed).decode()})
    fields = {"name": "n", "type": cloudinit.COMPRESSED, "ts": "2026-11-21T16:15:00Z"}
    (tmp_path / "pool").write_bytes(b"".join(cloudinit.encode("CLOUD_INIT|1|compressed|n|u", fields, body)))
    ended = run("import", tmp_path / "pool", "--format", "cloudinit", "--dir", tmp_path / "archive")
    assert ended.status == 1
    assert "compressed event of more than 67108864 bytes" in ended.error
    assert ended.rss < 300 * MIB


@pytest.mark.parametrize("format", ["shoebox", "theia"])
def test_a_sparse_record_is_skipped_unread(tmp_path: Path, format: str) -> None:
    size = GIB
    if format == "theia":
        header = b"id:x\ntimestamp: 1\nsource:s\ntags:\n"
        start = b"event: %d %d %d\n" % (size + len(header), len(header), size) + header
    else:
        start = (
            bytes.fromhex("84788669")
            + b"\1\0"
            + (4).to_bytes(4, "little")
            + (size + 4).to_bytes(4, "little")
            + bytes(8)
        )
        start += size.to_bytes(4, "little")
    path = tmp_path / "records"
    path.write_bytes(start)
    os.truncate(path, len(start) + size + 1)
    ended = run("import", path, "--format", format, "--dir", tmp_path / "archive")
    assert ended.status == 1
    assert "at most" in ended.error
    assert ended.rss < 200 * MIB
