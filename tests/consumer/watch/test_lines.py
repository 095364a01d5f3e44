"""Tests named after the defects of theia's watcher."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from consumer import log
from consumer.watch import lines
from consumer.watch.lines import Follower, Position


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "log").write_bytes(b"before\n")
    return tmp_path / "log"


@pytest.fixture
def follower(path: Path) -> Iterator[Follower]:
    made = Follower(path)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    events: list[str] = []
    monkeypatch.setattr(log, "emit", lambda event, **_: events.append(event))
    return events


def add(path: Path, raw: bytes) -> None:
    with path.open("ab") as file:
        file.write(raw)


def at(path: Path, offset: int) -> dict[int, Position]:
    """The position that a follower would have stored behind so many bytes."""
    raw = path.read_bytes()[max(0, offset - 64) : offset]
    return {path.stat().st_ino: Position(path.stat().st_ino, offset, xxh3_64_intdigest(raw))}


def texts(follower: Follower) -> list[bytes]:
    return [line.text for line in follower.read()]


def test_lines_that_are_added_are_read_once(path: Path, follower: Follower) -> None:
    assert texts(follower) == []
    add(path, b"one\ntwo\n")
    assert texts(follower) == [b"one", b"two"]
    assert texts(follower) == []


def test_a_file_may_be_read_from_its_start(path: Path) -> None:
    follower = Follower(path, from_start=True)
    assert texts(follower) == [b"before"]
    follower.close()


def test_half_a_line_and_half_a_character_wait(path: Path, follower: Follower) -> None:
    """Half of a character was an exception."""
    add(path, "é".encode()[:1])
    assert texts(follower) == []
    add(path, "é".encode()[1:] + b"\n")
    assert texts(follower) == ["é".encode()]


def test_a_rotated_file_is_read_to_its_end_and_its_successor_from_its_start(
    path: Path, follower: Follower, said: list[str]
) -> None:
    """The watcher followed the old file, and dropped the name."""
    add(path, b"one\n")
    path.rename(path.with_name("log.1"))
    add(path.with_name("log.1"), b"two\n")
    add(path, b"three\n")
    assert texts(follower) == [b"one", b"two", b"three"]
    add(path.with_name("log.1"), b"late\n")
    add(path, b"four\n")
    assert texts(follower) == [b"late", b"four"]
    assert said == ["file_rotated"]


def test_a_file_without_its_name_is_given_up_after_a_while(
    path: Path, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LINGER_S", -1)
    add(path, b"one\nhalf")
    path.rename(path.with_name("log.1"))
    add(path, b"new\n")
    assert texts(follower) == [b"one", b"half", b"new"]
    add(path.with_name("log.1"), b"nobody reads this\n")
    assert texts(follower) == []
    assert follower.positions().keys() == {path.stat().st_ino}


def test_a_name_that_is_gone_for_a_while_is_waited_for(path: Path, follower: Follower) -> None:
    path.rename(path.with_name("log.1"))
    add(path.with_name("log.1"), b"one\n")
    assert texts(follower) == [b"one"]
    add(path, b"two\n")
    assert texts(follower) == [b"two"]


def test_a_truncated_file_is_read_from_its_start(path: Path, follower: Follower, said: list[str]) -> None:
    """Later lines were skipped: the position was behind the end."""
    add(path, b"a long line that is read\n")
    assert len(texts(follower)) == 1
    os.truncate(path, 0)
    add(path, b"new\n")
    assert texts(follower) == [b"new"]
    assert said == ["file_truncated"]


def test_a_file_that_is_made_later_is_read_from_its_start(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "later")
    assert texts(follower) == []
    add(tmp_path / "later", b"one\n")
    assert texts(follower) == [b"one"]
    follower.close()


def test_reading_goes_on_at_a_stored_position(path: Path) -> None:
    first = Follower(path, from_start=True)
    add(path, b"one\ntwo\nhalf")
    found = list(first.read())
    first.close()
    for count, line in enumerate(found, 1):
        again = Follower(path, at(path, line.offset))
        assert texts(again) == [b"before", b"one", b"two"][count:]
        again.close()


def test_what_was_rotated_while_nobody_looked_is_found_beside(path: Path) -> None:
    first = Follower(path, from_start=True)
    assert texts(first) == [b"before"]
    stored = first.positions()
    first.close()
    add(path, b"one\n")
    path.rename(path.with_name("log.1"))
    add(path, b"two\n")
    again = Follower(path, stored)
    assert texts(again) == [b"one", b"two"]
    add(path, b"three\n")
    assert texts(again) == [b"three"]
    again.close()


def test_a_stored_position_of_a_file_that_is_gone_starts_the_new_one(path: Path) -> None:
    follower = Follower(path, {1: Position(1, 5, 0)})
    assert texts(follower) == [b"before"]
    follower.close()


def test_a_line_too_long_to_hold_comes_in_pieces(
    path: Path, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LINE_BYTES_MAX", 10)
    monkeypatch.setattr(lines, "READ_BYTES", 8)
    add(path, b"x" * 30 + b"\nshort\n")
    found = texts(follower)
    assert (b"".join(found), found[-1]) == (b"x" * 30 + b"short", b"short")
    assert max(map(len, found)) <= 18


@given(st.binary(max_size=300), st.randoms(use_true_random=False))
def test_every_byte_but_the_line_feeds_is_given_out_once(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes, random: Random
) -> None:
    path = tmp_path_factory.mktemp("lines") / "log"
    path.touch()
    follower, found = Follower(path), []
    at = 0
    while at < len(raw):
        size = random.randint(1, 50)
        add(path, raw[at : at + size])
        found += list(follower.read())
        at += size
    follower.close()
    assert [line.text for line in found] == raw.split(b"\n")[:-1]
    assert [line.offset for line in found] == [at + 1 for at, byte in enumerate(raw) if byte == 10]


def test_a_reader_that_stops_in_the_middle_of_a_read_goes_on_behind_its_last_line(
    path: Path, follower: Follower
) -> None:
    add(path, b"".join(b"line%04d\n" % number for number in range(600)) + b"half")
    found = [line.text for line in islice(follower.read(), 500)]
    found += [line.text for line in islice(follower.read(), 500)]
    add(path, b" and half\n")
    assert found + texts(follower) == [b"line%04d" % number for number in range(600)] + [b"half and half"]


def test_several_rotations_between_two_looks_lose_no_file(path: Path, follower: Follower) -> None:
    add(path, b"A\n")
    assert texts(follower) == [b"A"]
    for number, text in ((2, b"B"), (1, b"C")):
        path.rename(path.with_name(f"log.{number}"))
        path.write_bytes(text + b"\n")
        os.utime(path, ns=(1 << 61, (1 << 61) + 3 - number))
    os.utime(path.with_name("log.2"), ns=(5, 5))
    assert texts(follower) == [b"B", b"C"]


def test_a_file_that_gets_its_name_back_is_not_read_again(path: Path, follower: Follower) -> None:
    add(path, b"A\n")
    assert texts(follower) == [b"A"]
    path.rename(path.with_name("log.1"))
    add(path, b"B\n")
    assert texts(follower) == [b"B"]
    path.with_name("log.1").rename(path)
    add(path, b"C\n")
    assert texts(follower) == [b"C"]


def test_a_truncated_file_that_has_grown_past_the_position_is_noticed(path: Path, follower: Follower) -> None:
    add(path, b"one\n")
    assert texts(follower) == [b"one"]
    path.write_bytes(b"another line\nthat is longer\n")
    assert texts(follower) == [b"another line", b"that is longer"]


def test_a_truncation_inside_of_half_a_line_is_noticed(path: Path, follower: Follower) -> None:
    add(path, b"half a line")
    assert texts(follower) == []
    os.truncate(path, len(b"before\n"))
    add(path, b"one\n")
    assert texts(follower)[-1] == b"one"


def test_an_inode_that_is_used_again_is_another_file(path: Path) -> None:
    stored = {path.stat().st_ino: Position(path.stat().st_ino, 5, 12345)}
    follower = Follower(path, stored)
    assert texts(follower) == [b"before"]
    follower.close()


@pytest.mark.parametrize("name", ["app-20260101.log", "app.log.1", "app[1].log.1"])
def test_a_rotated_file_is_found_by_its_inode_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"one\n")
    first = Follower(path, from_start=True)
    assert texts(first) == [b"one"]
    stored = first.positions()
    first.close()
    add(path, b"two\n")
    path.rename(tmp_path / name)
    path.write_bytes(b"three\n")
    again = Follower(path, stored)
    assert texts(again) == [b"two", b"three"]
    again.close()


def test_a_file_that_was_removed_is_not_kept_open(
    path: Path, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LINGER_S", -1)
    path.unlink()
    assert texts(follower) == []
    assert follower.positions() == {}


def test_a_position_is_known_before_the_first_line(path: Path) -> None:
    first = Follower(path)
    stored = first.positions()
    first.close()
    add(path, b"while stopped\n")
    again = Follower(path, stored)
    assert texts(again) == [b"while stopped"]
    again.close()


def test_nothing_stored_of_a_known_path_starts_its_new_file(path: Path) -> None:
    follower = Follower(path, {})
    assert texts(follower) == [b"before"]
    follower.close()
