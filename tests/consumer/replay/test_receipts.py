"""Receipts: durable, for one process at a time, and never more than was confirmed."""

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from xxhash import xxh3_64_intdigest

from consumer.disk.durable import Disk
from consumer.errors import DeedboxError, Exit, Fatal
from consumer.replay.receipts import ArchiveHead, Receipts, read_receipts, receipts_path
from tests.support.disk import Durable, PowerCut, ShadowDisk, fail_on

ONE, TWO = ArchiveHead("one-00000001", "0123456789abcdef"), ArchiveHead("two-00000001", "fedcba9876543210")
OTHER_HEAD = ArchiveHead("one-00000001", "0000000000000000")


def known(directory: Path) -> dict[ArchiveHead, list[tuple[int, int]]]:
    return {place: list(ranges.pairs) for place, ranges in read_receipts(directory, "again").items()}


def stored(directory: Path, disk: Disk | None = None) -> None:
    receipts = Receipts(disk or Disk(), directory, "again")
    receipts.store({ONE: [3, 1, 2], TWO: [0]})
    receipts.store({ONE: [5]})
    receipts.close()


def test_stored_receipts_are_loaded(tmp_path: Path) -> None:
    assert known(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []
    stored(tmp_path)
    assert known(tmp_path) == {ONE: [(1, 3), (5, 5)], TWO: [(0, 0)]}
    again = Receipts(Disk(), tmp_path, "again")
    assert {place: list(ranges.pairs) for place, ranges in again.known.items()} == known(tmp_path)
    again.store({ONE: [4], OTHER_HEAD: [9]})
    again.close()
    assert known(tmp_path) == {ONE: [(1, 5)], TWO: [(0, 0)], OTHER_HEAD: [(9, 9)]}


def test_the_file_is_compacted_at_the_start_and_stays_if_it_is_compact(tmp_path: Path) -> None:
    stored(tmp_path)
    path = receipts_path(tmp_path, "again")
    assert len(path.read_bytes().splitlines()) == 4
    Receipts(Disk(), tmp_path, "again").close()
    raw, before = path.read_bytes(), path.stat().st_ino
    assert len(raw.splitlines()) == 2
    full = ShadowDisk(tmp_path)
    fail_on(full, "replace", "append")
    Receipts(full, tmp_path, "again").close()
    assert (path.read_bytes(), path.stat().st_ino) == (raw, before)
    assert known(tmp_path) == {ONE: [(1, 3), (5, 5)], TWO: [(0, 0)]}


def test_one_process_at_a_time_holds_the_file(tmp_path: Path) -> None:
    first = Receipts(Disk(), tmp_path, "again")
    with pytest.raises(Fatal, match="used by another process") as raised:
        Receipts(Disk(), tmp_path, "again")
    assert raised.value.exit is Exit.INSTANCE
    first.close()
    Receipts(Disk(), tmp_path, "again").close()


def test_a_last_line_that_was_not_written_whole_is_cut_off(tmp_path: Path) -> None:
    """At every byte of it."""
    stored(tmp_path)
    path = receipts_path(tmp_path, "again")
    raw = path.read_bytes()
    last = raw.rindex(b"\n", 0, -1) + 1
    for size in range(last, len(raw)):
        for torn in (raw[:size], raw[:size] + bytes(len(raw) - size), raw[:size] + bytes(len(raw) - size - 1) + b"\n"):
            path.write_bytes(torn)
            if torn == raw[:-1] + b"\0" or torn[:-1] == raw[:-1]:
                continue
            assert known(tmp_path) == {ONE: [(1, 3)], TWO: [(0, 0)]}, torn[last:]
            receipts = Receipts(Disk(), tmp_path, "again")
            receipts.store({ONE: [7]})
            receipts.close()
            assert known(tmp_path) == {ONE: [(1, 3), (7, 7)], TWO: [(0, 0)]}


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda raw: b"",
    "no lines": lambda raw: b"\n",
    "first line alone": lambda raw: raw.splitlines(keepends=True)[0],
    "a number changed": lambda raw: raw.replace(b"[1,3]", b"[1,4]"),
    "the last line changed": lambda raw: raw.replace(b"[5,5]", b"[5,6]"),
    "a line removed": lambda raw: b"".join(line for at, line in enumerate(raw.splitlines(keepends=True)) if at != 2),
    "a line doubled": lambda raw: raw + raw.splitlines(keepends=True)[-1],
    "two lines changed places": lambda raw: b"".join(raw.splitlines(keepends=True)[at] for at in (0, 1, 3, 2)),
    "no receipts at all": lambda raw: b"hello\nworld\n",
    "zeros in the middle": lambda raw: raw.replace(b"confirmed", bytes(9), 1),
    "a line feed gone": lambda raw: raw.replace(b"\n", b" ", 2),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_other_damage_is_an_error_that_names_the_file_and_changes_nothing(tmp_path: Path, damage: str) -> None:
    stored(tmp_path)
    path = receipts_path(tmp_path, "again")
    raw = DAMAGE[damage](path.read_bytes())
    path.write_bytes(raw)
    for read in (lambda: Receipts(Disk(), tmp_path, "again"), lambda: read_receipts(tmp_path, "again")):
        with pytest.raises(DeedboxError, match=re.escape(str(path))):
            read()
    assert path.read_bytes() == raw


def test_every_changed_byte_is_found_or_cut_off(tmp_path: Path) -> None:
    """No change makes an event count as published that was not."""
    stored(tmp_path)
    path = receipts_path(tmp_path, "again")
    raw, whole = path.read_bytes(), known(tmp_path)
    for at in range(len(raw)):
        for value in (raw[at] ^ 1, raw[at] ^ 0x80, 0, 10):
            path.write_bytes(raw[:at] + bytes((value,)) + raw[at + 1 :])
            try:
                found = known(tmp_path)
            except DeedboxError:
                continue
            # If the line feed between the last two lines is lost, both are one torn line.
            assert found == whole or found in ({}, {ONE: [(1, 3)], TWO: [(0, 0)]})


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    stored(tmp_path)
    line = b'{"format":2}'
    path = receipts_path(tmp_path, "again")
    path.write_bytes(b"%016x %b\n{}\n" % (xxh3_64_intdigest(line), line))
    with pytest.raises(DeedboxError, match="format 2, expected 1"):
        read_receipts(tmp_path, "again")


def test_after_a_power_cut_at_every_step_the_receipts_are_those_of_a_store_that_returned(tmp_path: Path) -> None:
    states: list[dict[ArchiveHead, list[tuple[int, int]]]] = [
        {}, {ONE: [(1, 3)], TWO: [(0, 0)]}, {ONE: [(1, 3), (5, 5)], TWO: [(0, 0)]}
    ]  # fmt: skip
    fail_at, ended = 0, False
    while not ended:
        fail_at += 1
        directory = tmp_path / str(fail_at)
        directory.mkdir()
        durable = Durable.of(directory)
        disk = ShadowDisk(directory, fail_at, crash=True, durable=durable)
        done = 0
        try:
            receipts = Receipts(disk, directory, "again")
            receipts.store({ONE: [3, 1, 2], TWO: [0]})
            done = 1
            receipts.store({ONE: [5]})
            done = 2
            receipts.close()
            ended = True
        except (PowerCut, DeedboxError):
            pass
        for left in ("lost", "torn", "kept"):
            after = durable.after_power_cut(tmp_path / f"{fail_at}-{left}", left)
            assert known(after) in states[done : done + 2], (fail_at, left)
        durable.close()
    assert fail_at > 8


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_write_that_fails_is_reported_and_the_earlier_receipts_stay(tmp_path: Path, error: int) -> None:
    failures: list[str] = []
    while len(failures) < 40:
        directory = tmp_path / f"{len(failures)}"
        directory.mkdir()
        try:
            stored(directory, ShadowDisk(directory, len(failures) + 1, error))
            break
        except DeedboxError as failure:
            failures.append(str(failure))
        found = known(directory)
        assert found in ({}, {ONE: [(1, 3)], TWO: [(0, 0)]}, {ONE: [(1, 3), (5, 5)], TWO: [(0, 0)]})
    assert 5 < len(failures) < 40
    assert all(os.strerror(error) in failure for failure in failures)
    assert all(("free space" in failure) == (error == errno.ENOSPC) for failure in failures)


def test_after_a_failure_nothing_is_written_to_the_file_any_more(tmp_path: Path) -> None:
    disk = ShadowDisk(tmp_path)
    receipts = Receipts(disk, tmp_path, "again")
    disk.fail_at, disk.error = len(disk.calls) + 1, errno.ENOSPC
    with pytest.raises(DeedboxError, match="No space left"):
        receipts.store({ONE: [1]})
    size = receipts.path.stat().st_size
    with pytest.raises(DeedboxError, match="No space left"):
        receipts.store({ONE: [1]})
    assert receipts.path.stat().st_size == size
    receipts.close()
    assert known(tmp_path) == {}


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 65])
def test_a_name_is_a_file_name_of_its_own(tmp_path: Path, name: str) -> None:
    with pytest.raises(Fatal, match="no name of a checkpoint"):
        Receipts(Disk(), tmp_path, name)


def test_a_directory_that_is_not_there_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(DeedboxError, match="is not a directory"):
        Receipts(Disk(), tmp_path / "absent", "again")
    assert list(tmp_path.iterdir()) == []


def test_a_symbolic_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "followers").mkdir()
    (tmp_path / "elsewhere").write_text("kept")
    receipts_path(tmp_path, "again").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DeedboxError, match="symbolic link"):
        Receipts(Disk(), tmp_path, "again")
    assert (tmp_path / "elsewhere").read_text() == "kept"
