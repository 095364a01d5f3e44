import os
import subprocess
import sys
from pathlib import Path

import pytest

from codec.archive import BATCH_HEADER_BYTES
from codec.event import Event
from codec.gap import Gap
from consumer.archive import naming
from consumer.archive.checking.verify import verify
from consumer.archive.listing import find_archives
from consumer.archive.reading.reader import ArchiveFile, Part, Seal, StoredBatch
from consumer.cli.app import app
from consumer.disk.durable import Disk, held
from consumer.errors import Exit
from tests.support.archive_logs import archive_log, some

COUNTS = (3, 1, 4)


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    one = archive_log(tmp_path)
    first = 0
    for count in COUNTS:
        one.append(some(first, count))
        first += count
    one.roll("stop")
    return find_archives([tmp_path])[0]


@pytest.fixture
def open_archive(tmp_path: Path) -> Path:
    one = archive_log(tmp_path)
    first = 0
    for count in COUNTS:
        one.append(some(first, count))
        first += count
    assert one.writer is not None
    one.writer.abandon()
    return one.writer.path


def parts(path: Path, frames: bool = True) -> list[Part]:
    with ArchiveFile(path) as archive:
        return list(archive.parts(frames))


def gaps(path: Path) -> list[Gap]:
    return [part for part in parts(path) if isinstance(part, Gap)]


def numbers(path: Path) -> list[int]:
    return [part.header.number for part in parts(path) if isinstance(part, StoredBatch)]


def read(path: Path) -> list[Event]:
    return [event for part in parts(path) if isinstance(part, StoredBatch) for event in part.events()]


def offsets(path: Path) -> list[int]:
    return [part.offset for part in parts(path) if isinstance(part, StoredBatch)]


def test_a_sealed_archive_is_batches_and_a_seal(sealed: Path) -> None:
    assert [type(part) for part in parts(sealed)] == [StoredBatch, StoredBatch, StoredBatch, Seal]
    assert read(sealed) == some(0, 8)


def test_an_open_archive_is_batches(open_archive: Path) -> None:
    assert [type(part) for part in parts(open_archive)] == [StoredBatch, StoredBatch, StoredBatch]
    assert read(open_archive) == some(0, 8)


def test_a_tail_torn_at_every_byte_costs_the_last_batch_alone(open_archive: Path) -> None:
    """Cut anywhere in the last batch: the others are read, and the gap has the offset of the cut."""
    raw = open_archive.read_bytes()
    last = offsets(open_archive)[-1]
    for size in range(last + 1, len(raw)):
        open_archive.write_bytes(raw[:size])
        assert read(open_archive) == some(0, 4)
        assert [(gap.offset, gap.size, gap.kind) for gap in gaps(open_archive)] == [(last, size - last, "torn")]


def test_every_flipped_bit_costs_one_batch_at_most(open_archive: Path) -> None:
    """A flipped bit in a batch is a gap there; the batches around it are read."""
    raw = open_archive.read_bytes()
    first, second, third = offsets(open_archive)
    for at in range(first, len(raw)):
        damaged = bytearray(raw)
        damaged[at] ^= 1 << at % 8
        open_archive.write_bytes(damaged)
        hit = 0 if at < second else 1 if at < third else 2
        assert numbers(open_archive) == [number for number in range(3) if number != hit], at
        (gap,) = gaps(open_archive)
        assert gap.offset == (first, second, third)[hit]
        assert gap.kind == ("torn" if hit == 2 else "damaged")


def test_every_flipped_bit_of_the_head_leaves_the_batches(open_archive: Path) -> None:
    raw = open_archive.read_bytes()
    for at in range(offsets(open_archive)[0]):
        damaged = bytearray(raw)
        damaged[at] ^= 1 << at % 8
        open_archive.write_bytes(damaged)
        assert numbers(open_archive) == [0, 1, 2], at
        assert gaps(open_archive)[0].offset == 0


# name, change of the bytes, numbers of the batches that survive, kinds and reasons of the gaps
TABLE = [
    ("zero tail", lambda raw, at: raw + bytes(5000), [0, 1, 2], [("torn", "nothing but zeros")]),
    ("last batch zeroed", lambda raw, at: raw[: at[2]] + bytes(len(raw) - at[2]), [0, 1], [("torn", "nothing but zeros")]),
    ("middle taken out", lambda raw, at: raw[: at[1]] + raw[at[2] :], [0, 2], [("missing", "1 event before event 4")]),
    ("middle zeroed", lambda raw, at: raw[: at[1]] + bytes(at[2] - at[1]) + raw[at[2] :], [0, 2], [("damaged", "the prefix of a Deedbox part expected")]),
    ("part of the middle taken out", lambda raw, at: raw[: at[1] + 120] + raw[at[2] :], [0, 2], [("damaged", "frame checksum")]),
    ("rubbish between", lambda raw, at: raw[: at[1]] + b"rubbish" * 9 + raw[at[1] :], [0, 1, 2], [("damaged", "72 75 62")]),
    ("first batch taken out", lambda raw, at: raw[: at[0]] + raw[at[1] :], [1, 2], [("missing", "3 events before event 3")]),
    ("foreign file", lambda raw, at: b"\x1f\x8b\x08 a gzip, perhaps" * 20, [], [("torn", "1f 8b 08")]),
    ("shorter than anything", lambda raw, at: b"\x5d", [], [("torn", "prefix of a part: 1 of 16 bytes found")]),
    ("empty file", lambda raw, at: b"", [], []),
    ("head alone", lambda raw, at: raw[: at[0]], [], []),
    ("batches swapped", lambda raw, at: raw[: at[0]] + raw[at[1] : at[2]] + raw[at[0] : at[1]] + raw[at[2] :], [1, 0, 2],
     [("missing", "3 events before event 3"), ("missing", "the batch before event 0 is not"), ("missing", "1 event before event 4")]),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "survivors", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_damage_is_a_gap_and_the_other_batches_are_read(
    open_archive: Path, damage, survivors: list[int], expected: list[tuple[str, str]]
) -> None:
    raw = open_archive.read_bytes()
    open_archive.write_bytes(damage(raw, offsets(open_archive)))
    assert numbers(open_archive) == survivors
    found = gaps(open_archive)
    assert [gap.kind for gap in found] == [kind for kind, _ in expected]
    assert all(reason in gap.reason for gap, (_, reason) in zip(found, expected, strict=True))


def test_a_sealed_archive_with_a_broken_end_still_gives_its_batches(sealed: Path) -> None:
    raw = sealed.read_bytes()
    end = next(part.offset for part in parts(sealed) if isinstance(part, Seal))
    sealed.chmod(0o640)
    for size in range(end, len(raw), 7):
        sealed.write_bytes(raw[:size])
        assert numbers(sealed) == [0, 1, 2]
        assert not any(isinstance(part, Seal) for part in parts(sealed))


def test_headers_alone_are_enough_to_walk(sealed: Path) -> None:
    walked = [part for part in parts(sealed, frames=False) if isinstance(part, StoredBatch)]
    assert [batch.header.events for batch in walked] == list(COUNTS)
    assert all(batch.frame is None for batch in walked)
    assert walked[1].offset == walked[0].offset + BATCH_HEADER_BYTES + walked[0].header.compressed


def test_zstd_itself_tests_and_decodes_an_archive(sealed: Path) -> None:
    assert subprocess.run(["zstd", "-q", "-t", sealed], check=False).returncode == 0
    records = subprocess.run(["zstd", "-dc", sealed], check=True, capture_output=True).stdout
    assert len(records) % 2560 == 0


INDEPENDENT = """
import base64, json, subprocess, sys
raw = subprocess.run(["zstd", "-dc", sys.argv[1]], check=True, capture_output=True).stdout
events = {}
for at in range(0, len(raw), 2560):
    key, value = (raw[at + a : at + b].rstrip(b"\\0").decode() for a, b in ((0, 512), (512, 2560)))
    members = json.loads(value)
    event = events.setdefault(key.rpartition("|")[0], {"parts": {}, "name": key.split("|")[3]})
    event["parts"].setdefault(members.get("of", "msg"), []).append(members.pop("msg"))
    event.update(members)
for event in events.values():
    whole = {name: "".join(pieces) for name, pieces in event.pop("parts").items()}
    event |= whole
    body = base64.b64decode(event["msg"]) if event.get("encoding") == "base64" else event["msg"].encode()
    print(json.dumps([event["name"], event["type"], event["ts"], event["exchange"], event["routing_key"], event["header"], body.hex()]))
"""


def test_an_independent_reader_of_twenty_lines_decodes_the_same_events(tmp_path: Path) -> None:
    """It knows FORMAT.md and nothing of this code."""
    import json

    from codec.event import format_time

    wanted = some(0, 3)
    wanted += [
        wanted[0]._replace(id="binary", body=bytes(range(256)) * 40),
        wanted[0]._replace(id="long" * 200, body=b'"\\\n' * 3000),
    ]
    one = archive_log(tmp_path)
    one.append(wanted)
    one.roll("stop")
    done = subprocess.run(
        [sys.executable, "-c", INDEPENDENT, find_archives([tmp_path])[0]], check=True, capture_output=True, text=True
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found == [
        [e.id, e.type, format_time(e.time_us), e.exchange, e.routing_key, e.header.decode("latin-1"), e.body.hex()]
        for e in wanted
    ]


def test_archives_are_found_in_the_order_of_their_writing(tmp_path: Path) -> None:
    for instance in ("b", "a"):
        one = archive_log(tmp_path, instance=instance, events_max=1)
        for serial in range(3):
            one.append(some(serial, 1))
        assert one.writer is not None
        one.writer.abandon()
    names = [path.name for path in find_archives([tmp_path])]
    assert [name.partition(".kvp")[0][-10:] for name in names] == [f"{i}-0000000{n}" for i in "ab" for n in (1, 2, 3)]


@pytest.mark.parametrize("command", ["search", "cat", "verify"])
def test_an_archive_that_is_sealed_before_its_lock_is_checked_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """The name was removed after it was found and before its lock was checked; the archive could not be read."""
    one = archive_log(tmp_path)
    one.append(some(0, 5))
    real = Path.exists

    def sealed_then(path: Path) -> bool:
        found = real(path)
        if path.name.endswith(".open") and one.writer:
            one.roll("test")
        return found

    monkeypatch.setattr(Path, "exists", sealed_then)
    assert app([command, str(tmp_path)], result_action="return_value") == Exit.OK, capsysbinary.readouterr()


def test_an_archive_that_cannot_be_read_leaves_no_descriptor_open(tmp_path: Path) -> None:
    (tmp_path / "directory.kvp.zst").mkdir()
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match="not a regular file"):
        ArchiveFile(tmp_path / "directory.kvp.zst")
    assert os.listdir("/proc/self/fd") == before


def test_an_archive_that_its_instance_has_just_made_is_no_empty_file(tmp_path: Path) -> None:
    """For a moment the new file is not locked; a search in that moment reported a fault."""
    path = tmp_path / "one-00000001.kvp.zst.open"
    path.touch()
    with ArchiveFile(path) as archive:
        assert not archive.live
    with held(Disk(), naming.lock_path(tmp_path, "one")), ArchiveFile(path) as archive:
        assert archive.live
        assert [verdict.faults for verdict in verify([tmp_path])] == [[]]
    assert [list(map(str, verdict.faults)) for verdict in verify([tmp_path])] == [[f"{path}: at 0: empty file"]]
    with held(Disk(), naming.lock_path(tmp_path, "other")), ArchiveFile(path) as archive:
        assert not archive.live
    naming.lock_path(tmp_path, "one").unlink()
    naming.lock_path(tmp_path, "one").mkdir()
    with ArchiveFile(path) as archive:
        assert not archive.live
