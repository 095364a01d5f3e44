"""The files of one path: rotation, truncation, copies, restarts."""

import errno
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from consumer import log
from consumer.watch import follower as following
from consumer.watch import open_file as reading
from consumer.watch.follower import FileFollower
from consumer.watch.line_position import LinePosition
from consumer.watch.lines import Line
from consumer.watch.renames import Rename
from consumer.watch.siblings import SiblingFiles


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "log").write_bytes(b"before\n")
    return tmp_path / "log"


@pytest.fixture
def follower(path: Path) -> Iterator[FileFollower]:
    made = FileFollower(path)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    events: list[str] = []
    monkeypatch.setattr(log, "emit", lambda event, **_: events.append(event.name))
    return events


def add(path: Path, raw: bytes) -> None:
    with path.open("ab") as file:
        file.write(raw)


def at(path: Path, offset: int) -> list[LinePosition]:
    """The position that a follower would have stored after this number of bytes."""
    raw = path.read_bytes()
    mark = xxh3_64_intdigest(raw[:1024] + raw[max(0, offset - 1024) : offset])
    return [LinePosition(path.stat().st_ino, offset, offset, min(len(raw), 1024), mark, "g")]


def give(follower: FileFollower, changes: Sequence[Rename] | None = None) -> list[Line]:
    """Look, read, confirm."""
    follower.look(changes)
    found = follower.read()
    follower.confirm()
    return found


def texts(follower: FileFollower, changes: Sequence[Rename] | None = None) -> list[bytes]:
    return [line.text for line in give(follower, changes)]


def test_lines_that_are_added_are_read_once(path: Path, follower: FileFollower) -> None:
    assert texts(follower) == []
    add(path, b"one\ntwo\n")
    assert texts(follower) == [b"one", b"two"]
    assert texts(follower) == []


def test_a_file_may_be_read_from_its_start(path: Path) -> None:
    follower = FileFollower(path, from_start=True)
    assert texts(follower) == [b"before"]
    follower.close()


def test_an_incomplete_line_waits_for_its_end(path: Path, follower: FileFollower) -> None:
    """Half of a character was an exception."""
    add(path, "é".encode()[:1])
    assert texts(follower) == []
    add(path, "é".encode()[1:] + b"\n")
    assert texts(follower) == ["é".encode()]


def test_a_rotated_file_is_read_to_its_end_and_its_successor_from_its_start(
    path: Path, follower: FileFollower, logged: list[str]
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
    assert logged == ["file_rotated"]


def test_a_file_that_lost_its_name_is_closed_after_a_time(
    path: Path, follower: FileFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LINGER_S", -1)
    add(path, b"one\nhalf")
    path.rename(path.with_name("log.1"))
    add(path, b"new\n")
    assert texts(follower) == [b"one", b"new"]
    assert texts(follower) == [b"half"]
    add(path.with_name("log.1"), b"this is not read\n")
    assert texts(follower) == []
    assert [one.inode for one in follower.positions()] == [path.stat().st_ino]


def test_a_name_that_does_not_exist_for_a_time_is_waited_for(path: Path, follower: FileFollower) -> None:
    path.rename(path.with_name("log.1"))
    add(path.with_name("log.1"), b"one\n")
    assert texts(follower) == [b"one"]
    add(path, b"two\n")
    assert texts(follower) == [b"two"]


def test_a_truncated_file_is_read_from_its_start(path: Path, follower: FileFollower, logged: list[str]) -> None:
    """Later lines were skipped: the position was after the end."""
    add(path, b"a long line that is read\n")
    assert len(texts(follower)) == 1
    os.truncate(path, 0)
    add(path, b"new\n")
    assert texts(follower) == [b"new"]
    assert logged == ["file_truncated"]


def test_a_file_that_is_created_later_is_read_from_its_start(tmp_path: Path) -> None:
    follower = FileFollower(tmp_path / "later")
    assert texts(follower) == []
    add(tmp_path / "later", b"one\n")
    assert texts(follower) == [b"one"]
    follower.close()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_a_watched_name_that_is_no_file_is_reported(
    tmp_path: Path, logged: list[str], make: Callable[[Path], None]
) -> None:
    make(tmp_path / "log")
    follower = FileFollower(tmp_path / "log")
    assert texts(follower) == []
    assert set(logged) == {"watch_failed"}
    follower.close()


def test_reading_continues_at_a_stored_position(path: Path) -> None:
    first = FileFollower(path, from_start=True)
    add(path, b"one\ntwo\nhalf")
    found = give(first)
    first.close()
    for count, line in enumerate(found, 1):
        again = FileFollower(path, at(path, line.offset))
        assert texts(again) == [b"before", b"one", b"two"][count:]
        again.close()


def test_a_file_that_was_rotated_while_stopped_is_found_by_its_content(path: Path) -> None:
    first = FileFollower(path, from_start=True)
    assert texts(first) == [b"before"]
    stored = first.positions()
    first.close()
    add(path, b"one\n")
    path.rename(path.with_name("log.1"))
    add(path, b"two\n")
    again = FileFollower(path, stored)
    assert texts(again) == [b"one", b"two"]
    add(path, b"three\n")
    assert texts(again) == [b"three"]
    again.close()


def test_if_the_file_of_a_stored_position_is_gone_the_new_file_is_read_from_its_start(path: Path) -> None:
    follower = FileFollower(path, [LinePosition(1, 5, 5, 0, 0, "g")])
    assert texts(follower) == [b"before"]
    follower.close()


@given(st.binary(max_size=300), st.randoms(use_true_random=False))
def test_every_byte_except_line_feeds_is_returned_once(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes, random: Random
) -> None:
    path = tmp_path_factory.mktemp("lines") / "log"
    path.touch()
    follower, found = FileFollower(path), []
    at = 0
    while at < len(raw):
        size = random.randint(1, 50)
        add(path, raw[at : at + size])
        found += give(follower)
        at += size
    follower.close()
    assert [line.text for line in found] == raw.split(b"\n")[:-1]
    assert [line.offset for line in found] == [at + 1 for at, byte in enumerate(raw) if byte == 10]


def test_a_read_that_stops_early_continues_after_its_last_line(path: Path, follower: FileFollower) -> None:
    add(path, b"".join(b"line%04d\n" % number for number in range(600)) + b"half")
    found = [line.text for line in follower.read(500)]
    found += [line.text for line in follower.read(500)]
    add(path, b" and half\n")
    assert found + texts(follower) == [b"line%04d" % number for number in range(600)] + [b"half and half"]


def test_several_rotations_between_two_checks_lose_no_file(path: Path, follower: FileFollower) -> None:
    add(path, b"A\n")
    assert texts(follower) == [b"A"]
    for number, text in ((2, b"B"), (1, b"C")):
        path.rename(path.with_name(f"log.{number}"))
        path.write_bytes(text + b"\n")
        os.utime(path, ns=(1 << 61, (1 << 61) + 3 - number))
    os.utime(path.with_name("log.2"), ns=(5, 5))
    assert texts(follower) == [b"B", b"C"]


def test_a_file_that_gets_its_name_back_is_not_read_again(path: Path, follower: FileFollower) -> None:
    add(path, b"A\n")
    assert texts(follower) == [b"A"]
    path.rename(path.with_name("log.1"))
    add(path, b"B\n")
    assert texts(follower) == [b"B"]
    path.with_name("log.1").rename(path)
    add(path, b"C\n")
    assert texts(follower) == [b"C"]


def test_a_truncated_file_that_has_grown_past_the_position_is_noticed(path: Path, follower: FileFollower) -> None:
    add(path, b"one\n")
    assert texts(follower) == [b"one"]
    path.write_bytes(b"another line\nthat is longer\n")
    assert texts(follower) == [b"another line", b"that is longer"]


def test_a_truncation_inside_of_half_a_line_is_noticed(path: Path, follower: FileFollower) -> None:
    add(path, b"half a line")
    assert texts(follower) == []
    os.truncate(path, len(b"before\n"))
    add(path, b"one\n")
    assert texts(follower)[-1] == b"one"


def test_an_inode_that_is_used_again_is_another_file(path: Path) -> None:
    stored = [LinePosition(path.stat().st_ino, 5, 5, 0, 12345, "g")]
    follower = FileFollower(path, stored)
    assert texts(follower) == [b"before"]
    follower.close()


@pytest.mark.parametrize("name", ["app-20260101.log", "app.log.1", "app[1].log.1"])
def test_a_rotated_file_is_found_by_its_inode_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"1" * 1024 + b"\n")
    first = FileFollower(path, from_start=True)
    assert texts(first) == [b"1" * 1024]
    stored = first.positions()
    first.close()
    add(path, b"two\n")
    path.rename(tmp_path / name)
    path.write_bytes(b"three\n")
    again = FileFollower(path, stored)
    assert texts(again) == [b"two", b"three"]
    again.close()


def test_a_file_that_was_removed_is_not_kept_open(
    path: Path, follower: FileFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LINGER_S", -1)
    path.unlink()
    assert texts(follower) == []
    assert follower.positions() == []


def test_a_file_that_is_no_longer_followed_is_closed_without_a_new_line(
    path: Path, follower: FileFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was kept open until the next line was confirmed: a removed file kept its space, and the descriptor was wanting elsewhere."""
    monkeypatch.setattr(following, "LINGER_S", -1)
    add(path, b"one\n")
    path.unlink()
    follower.look()
    assert [line.text for line in follower.read()] == [b"one"]
    assert follower.read() == []
    follower.look()
    assert len(follower.positions()) == 1  # an unconfirmed line is not dropped
    follower.confirm()
    path.touch()
    follower.look()
    path.unlink()
    for _ in range(2):
        follower.look()
        assert follower.read() == []
    follower.look()
    assert follower.positions() == []


def test_a_position_is_known_before_the_first_line(path: Path) -> None:
    first = FileFollower(path)
    stored = first.positions()
    first.close()
    add(path, b"while stopped\n")
    again = FileFollower(path, stored)
    assert texts(again) == [b"while stopped"]
    again.close()


def test_a_known_path_without_a_position_is_read_from_its_start(path: Path) -> None:
    follower = FileFollower(path, [])
    assert texts(follower) == [b"before"]
    follower.close()


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app.log").write_bytes(b"before\n")
    return tmp_path / "app.log"


def restart(path: Path, follower: FileFollower, **options: Collection[Path]) -> FileFollower:
    """Another run, from the positions of this one."""
    stored = follower.positions()
    follower.close()
    return FileFollower(path, stored, **options)


def test_a_file_that_was_compressed_while_stopped_is_reported_with_what_was_not_read(
    app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emitted: list[dict[str, object]] = []
    monkeypatch.setattr(log, "emit", lambda event, **fields: emitted.append({"event": event.name, **fields}))
    follower = FileFollower(app)
    add(app, b"one\ntwo\n")
    follower.look()
    assert [line.text for line in follower.read(1)] == [b"one"]
    follower.confirm()
    app.unlink()
    app.with_name("app.log.1.gz").write_bytes(b"packed\n")
    app.write_bytes(b"three\n")
    follower = restart(app, follower)
    assert texts(follower) == [b"three"]
    assert emitted == [
        {"event": "file_gone", "path": str(app), "position": len(b"before\none\n"), "unread": len(b"two\n")}
    ]
    follower.close()


@pytest.mark.parametrize("scheme", [("app.log.2", "app.log.1"), ("app-20261119.log", "app-20261120.log")])
def test_files_that_were_rotated_while_stopped_are_read_although_the_last_known_one_was_compressed(
    app: Path, scheme: tuple[str, str]
) -> None:
    """They were left out in silence: nothing named the rotation any more."""
    others = ("app.log.9", "app-20200101.log", "app.log.8", "app-20200102.log")
    for name in others:
        app.with_name(name).write_bytes(b"older than what was read\n")
        os.utime(app.with_name(name), ns=(5, 5))
    follower = FileFollower(app)
    add(app, b"one\n")
    assert texts(follower) == [b"one"]
    app.rename(app.with_name("app.log.3"))
    app.with_name("app.log.3").unlink()
    for at, (name, line) in enumerate(zip(scheme, (b"two\n", b"three\n"), strict=True)):
        app.with_name(name).write_bytes(line)
        os.utime(app.with_name(name), ns=((1 << 61) + at,) * 2)
    for name in (*OTHERS, "app-2.log", "app.log-error.1"):
        app.with_name(name).write_bytes(b"of another log\n")
        os.utime(app.with_name(name), ns=(1 << 61, 1 << 61))
    app.write_bytes(b"four\n")
    follower = restart(app, follower)
    assert texts(follower) == [b"two", b"three", b"four"]
    follower.close()


OTHERS = ("app-error.log", "app.log.gz", "app.log.1.gz", "app-20261121.log.xz", "app.log.2.zst", "app.log.bz2", "app.log.audit", "app.log.lock", "app2.log", "apple.log", "app.log-error")  # fmt: skip


@pytest.mark.parametrize("rotated", ["app.log.1", "app-20261120.log", "app.log-20261120", "app.log.old"])
@pytest.mark.parametrize("stopped", [True, False])
def test_a_file_of_another_log_is_never_published_when_a_log_rotates(app: Path, rotated: str, stopped: bool) -> None:
    """It was enough to have a name that began alike, and to be newer."""
    follower = FileFollower(app)
    add(app, b"one\n")
    assert texts(follower) == [b"one"]
    for name in OTHERS:
        app.with_name(name).write_bytes(b"of " + name.encode() + b"\n")
        os.utime(app.with_name(name), ns=(1 << 61, 1 << 61))
    app.rename(app.with_name(rotated))
    app.write_bytes(b"two\n")
    if stopped:
        follower = restart(app, follower)
    assert texts(follower) == [b"two"]
    assert texts(follower) == []
    follower.close()


def test_a_file_that_is_watched_itself_is_not_read_as_a_rotated_one(tmp_path: Path) -> None:
    path, other = tmp_path / "app.log", tmp_path / "app.log.1"
    path.write_bytes(b"one\n")
    follower = FileFollower(path, from_start=True, watched=[path, other])
    assert texts(follower) == [b"one"]
    path.rename(tmp_path / "app.log.2")
    other.write_bytes(b"of the other\n")
    os.utime(other, ns=(1 << 61, 1 << 61))
    path.write_bytes(b"two\n")
    assert texts(follower) == [b"two"]
    follower.close()


@pytest.mark.parametrize("scheme", [("app.log.2", "app.log.1"), ("app-20261119.log", "app-20261120.log")])
@pytest.mark.parametrize("stopped", [True, False])
def test_two_rotations_without_a_reported_rename_lose_no_line(
    app: Path, scheme: tuple[str, str], stopped: bool
) -> None:
    follower = FileFollower(app)
    add(app, b"one\n")
    assert texts(follower) == [b"one"]
    add(app, b"two\n")
    for name, line in zip(scheme, (b"three\n", b"four\n"), strict=True):
        app.rename(app.with_name(name))
        app.write_bytes(line)
    if stopped:
        follower = restart(app, follower)
    assert texts(follower) == [b"two", b"three", b"four"]
    follower.close()


def test_a_file_with_a_reported_rename_is_read_whatever_its_name_is(app: Path) -> None:
    follower = FileFollower(app)
    add(app, b"one\n")
    first, second, third = (app.with_name(name) for name in ("aside", "kept", "moved"))
    app.rename(first)
    app.write_bytes(b"two\n")
    app.rename(second)
    second.rename(third)
    app.write_bytes(b"three\n")
    app.with_name("app.log.1").write_bytes(b"of another\n")
    changes = [Rename(app, first), Rename(app, second), Rename(second, third)]
    assert texts(follower, changes) == [b"one", b"two", b"three"]
    assert texts(follower, []) == []
    follower.close()


def test_an_inode_that_another_file_got_is_not_read(app: Path) -> None:
    follower = FileFollower(app)
    add(app, b"one\n")
    assert texts(follower) == [b"one"]
    (position,) = follower.positions()
    follower.close()
    other = app.with_name("other.log")
    other.write_bytes(b"a long text of another file\n")
    app.unlink()
    app.write_bytes(b"two\n")
    follower = FileFollower(app, [position._replace(inode=other.stat().st_ino)])
    assert texts(follower) == [b"two"]
    follower.close()


def copytruncate(path: Path, copy: Path) -> None:
    copy.write_bytes(path.read_bytes())
    os.truncate(path, 0)


@pytest.mark.parametrize("stopped", [True, False])
def test_lines_that_only_a_copy_holds_are_read_from_the_copy(app: Path, stopped: bool) -> None:
    """Of copytruncate, the lines between the last look and the truncation were lost."""
    follower = FileFollower(app)
    add(app, b"one\n")
    assert texts(follower) == [b"one"]
    add(app, b"two\n")
    copytruncate(app, app.with_name("app.log.1"))
    app.with_name("app.log.3").write_bytes(b"before\nan older one, that began alike\n")
    os.utime(app.with_name("app.log.3"), ns=(5, 5))
    add(app, b"three\n")
    if stopped:
        follower = restart(app, follower)
    assert texts(follower) == [b"two", b"three"]
    assert texts(follower) == []
    follower.close()


def test_two_copies_between_two_checks_are_both_read(app: Path) -> None:
    follower = FileFollower(app)
    add(app, b"one\n")
    assert texts(follower) == [b"one"]
    add(app, b"two\n")
    copytruncate(app, app.with_name("app.log.2"))
    add(app, b"three\n")
    copytruncate(app, app.with_name("app.log.1"))
    add(app, b"four\n")
    assert texts(follower, []) == [b"two", b"three", b"four"]
    follower.close()


def test_lines_that_were_buffered_before_a_truncation_are_returned(app: Path) -> None:
    follower = FileFollower(app)
    add(app, b"one\ntwo\nthree\n")
    follower.look()
    assert [line.text for line in follower.read(1)] == [b"one"]
    os.truncate(app, 0)
    add(app, b"four\n")
    assert texts(follower) == [b"two", b"three", b"four"]
    follower.close()


def test_a_content_id_is_new_after_a_truncation_and_kept_by_a_copy_and_a_restart(app: Path) -> None:
    """Two lines had the same path, inode and offset."""
    follower = FileFollower(app, from_start=True)
    (before,) = give(follower)
    add(app, b"two\n")
    copytruncate(app, app.with_name("app.log.1"))
    (copied,) = give(follower)
    add(app, b"before\n")
    (after,) = give(follower)
    assert (copied.text, copied.content_id) == (b"two", before.content_id)
    assert (after.text, after.offset) == (before.text, before.offset)
    assert after.content_id != before.content_id
    follower = restart(app, follower)
    add(app, b"three\n")
    assert [line.content_id for line in give(follower)] == [after.content_id]
    follower.close()


def test_a_read_error_loses_no_line_that_was_read_before(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = FileFollower(app)
    add(app, b"x" * 99 + b"\n" + b"y" * 99 + b"\n")
    monkeypatch.setattr(reading, "READ_BYTES", 100)
    pread, asked = os.pread, []

    def failing(fd: int, size: int, offset: int) -> bytes:
        asked.append(offset)
        if offset >= 107 and size == 100:
            raise OSError(errno.EIO, "Input/output error")
        return pread(fd, size, offset)

    follower.look()
    monkeypatch.setattr(os, "pread", failing)
    assert [line.text for line in follower.read()] == [b"x" * 99]
    assert [one.offset for one in follower.positions()] == [7]
    follower.confirm()
    assert [one.offset for one in follower.positions()] == [107]
    assert follower.read() == []
    monkeypatch.undo()
    assert [line.text for line in follower.read()] == [b"y" * 99]
    follower.close()


def test_a_position_never_passes_the_last_confirmed_line(app: Path) -> None:
    follower = FileFollower(app)
    add(app, b"one\ntwo\n")
    (stored,) = follower.positions()
    follower.look()
    assert len(follower.read()) == 2
    follower.look()
    assert [one.offset for one in follower.positions()] == [stored.offset]
    follower = restart(app, follower)
    assert texts(follower) == [b"one", b"two"]
    follower.close()


def test_a_file_that_grows_after_it_lost_its_name_is_followed(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(following, "monotonic", lambda: now[0])
    follower = FileFollower(app)
    app.rename(app.with_name("app.log.1"))
    app.write_bytes(b"new\n")
    assert texts(follower) == [b"new"]
    for _ in range(5):
        now[0] += following.LINGER_S - 1
        add(app.with_name("app.log.1"), b"late\n")
        assert texts(follower) == [b"late"]
    now[0] += following.LINGER_S + 1
    assert texts(follower) == []
    assert len(follower.positions()) == 1
    follower.close()


@pytest.mark.parametrize("stopped", [True, False])
def test_a_copy_of_a_file_of_which_nothing_was_read_yet_is_read(app: Path, stopped: bool) -> None:
    """After a restart there may be much to read before the file that has the name."""
    follower = FileFollower(app)
    app.rename(app.with_name("app.log.1"))
    app.write_bytes(b"one\n")
    follower.look([])
    add(app, b"two\n")
    app.with_name("app.log.1").rename(app.with_name("app.log.2"))
    copytruncate(app, app.with_name("app.log.1"))
    app.with_name("app.log.2").unlink()  # so that only its own content proves the copy
    add(app, b"three\n")
    if stopped:
        follower = restart(app, follower)
    assert texts(follower, []) == [b"one", b"two", b"three"]
    follower.close()


@pytest.mark.parametrize("stopped", [True, False])
@pytest.mark.parametrize("dated", [True, False])
def test_the_target_of_a_link_may_be_rotated_twice_between_two_checks(
    tmp_path: Path, stopped: bool, dated: bool
) -> None:
    """The file in the middle was lost in silence: the renames of the directory of the target are not seen."""
    real, link = tmp_path / "real", tmp_path / "links" / "app.log"
    real.mkdir()
    link.parent.mkdir()
    names = [real / f"app-2026-11-2{day}.log" for day in (6, 7, 8)] if dated else [real / "app.log"]
    link.symlink_to(names[0])
    names[0].write_bytes(b"one\n")
    follower = FileFollower(link, from_start=True)
    assert texts(follower, []) == [b"one"]
    add(names[0], b"more\n")
    for number, line in enumerate((b"two\n", b"three\n"), 1):
        if dated:
            link.unlink()
            link.symlink_to(names[number])
        else:
            names[0].rename(real / f"app.log.{3 - number}")
        link.write_bytes(line)
    if stopped:
        follower = restart(link, follower)
    assert texts(follower, []) == [b"more", b"two", b"three"]
    assert texts(follower, []) == []
    follower.close()


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """Files that may not be read: the tests may run as a user who may read everything."""
    paths: set[Path] = set()
    open_any = os.open

    def opened(path: Path, flags: int, *arguments: int) -> int:
        if path in paths:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return open_any(path, flags, *arguments)

    monkeypatch.setattr(os, "open", opened)
    return paths


@pytest.mark.parametrize("seen", [True, False])
def test_a_rotated_file_without_read_permission_does_not_affect_the_others(
    app: Path, closed: set[Path], logged: list[str], seen: bool
) -> None:
    """The new file was not read for as long as the rotated one could not be opened, although it was open already."""
    follower = FileFollower(app)
    add(app, b"one\n")
    assert texts(follower) == [b"one"]
    first, second = app.with_name("app.log.2"), app.with_name("app.log.1")
    add(app, b"two\n")
    app.rename(first)
    app.write_bytes(b"three\n")
    app.rename(second)
    app.write_bytes(b"four\n")
    closed |= {first, second}
    assert texts(follower, [Rename(app, first), Rename(app, second)] if seen else None) == [b"two", b"four"]
    assert logged == ["file_rotated", "watch_failed"]
    closed.clear()
    assert texts(follower, []) == [b"three"]
    assert texts(follower, []) == []
    assert logged == ["file_rotated", "watch_failed"]
    follower.close()


@pytest.mark.parametrize("stopped", [True, False])
def test_a_file_without_read_permission_is_not_a_copy_and_leaks_no_descriptor(
    app: Path, closed: set[Path], logged: list[str], stopped: bool
) -> None:
    """Each look left a descriptor open, and the truncated file was never read from its beginning."""
    app.with_name("app.log.1").write_bytes(b"older\n")
    closed.add(app.with_name("app.log.1"))
    follower = FileFollower(app)
    os.truncate(app, 0)
    descriptors = len(os.listdir("/proc/self/fd"))
    if stopped:
        follower = restart(app, follower)
    add(app, b"one\n")
    assert texts(follower) == [b"one"]
    assert texts(follower) == []
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert sorted(set(logged)) == ["file_truncated", "watch_failed"]
    follower.close()


HEADER = b"time,name,value\n"


@pytest.mark.parametrize(
    ("own", "other"),
    [
        ("app.log", "app.log.audit"), ("app.log", "app.log.lock"), ("metrics.csv", "metrics-2.csv"), ("metrics.csv", "metrics.2.csv"),
        ("app.log", "app.log~"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stopped", [True, False])
def test_a_file_of_another_program_with_the_same_first_line_is_not_a_copy(
    tmp_path: Path, own: str, other: str, stopped: bool
) -> None:
    """It was published from its second line on, when the watched file was truncated."""
    path = tmp_path / own
    path.write_bytes(HEADER)
    path.with_name(other).write_bytes(HEADER + b"of another program\n")
    follower = FileFollower(path, from_start=True)
    assert texts(follower) == [HEADER.strip()]
    os.truncate(path, 0)
    if stopped:
        follower = restart(path, follower)
    assert texts(follower) == []
    add(path, HEADER + b"mine\n")
    assert texts(follower) == [HEADER.strip(), b"mine"]
    follower.close()


@pytest.mark.parametrize("seen", [b"", HEADER])
def test_a_file_of_another_program_that_got_the_inode_of_a_watched_one_is_not_read(tmp_path: Path, seen: bytes) -> None:
    """It was enough that nothing had been seen of the watched file and that the name began alike, or that the first line was the same."""
    path, other = tmp_path / "app.log", tmp_path / "app.log.audit"
    path.write_bytes(seen)
    follower = FileFollower(path)
    assert texts(follower) == []
    add(path, b"of another program\n")
    path.rename(other)
    path.write_bytes(b"mine\n")
    follower = restart(path, follower)
    assert texts(follower) == [b"mine"]
    follower.close()


@pytest.mark.parametrize("name", ["app.1.log", "app-1.log"])
def test_a_long_copy_before_the_suffix_is_read(app: Path, name: str) -> None:
    """A short one may be of another program."""
    add(app, b"1" * 1024 + b"\n")
    follower = FileFollower(app)
    add(app, b"two\n")
    copytruncate(app, app.with_name(name))
    assert texts(follower) == [b"two"]
    follower.close()


def test_a_file_that_is_shorter_than_the_original_is_not_a_copy(app: Path) -> None:
    follower = FileFollower(app)
    add(app, b"2" * 2000 + b"\n")
    follower.look()
    app.with_name("app.log.1").write_bytes(b"before\n" + b"2" * 1500 + b"\n")
    os.truncate(app, 0)
    add(app, b"four\n")
    assert texts(follower) == [b"four"]
    follower.close()


@pytest.mark.parametrize("was_open", [True, False])
def test_a_rotated_file_with_a_read_error_does_not_affect_the_others_and_leaks_no_descriptor(
    app: Path, monkeypatch: pytest.MonkeyPatch, logged: list[str], was_open: bool
) -> None:
    """Each look left a descriptor open, and the new file was not read."""
    follower = FileFollower(app)
    add(app, b"one\n")
    names = [app.with_name("app.log.2"), app.with_name("app.log.1")]
    inodes = []
    for name, line in zip(names, (b"two\n", b"three\n"), strict=True):
        inodes.append(app.stat().st_ino)
        app.rename(name)
        app.write_bytes(line)
    bad, lines = inodes[1 - was_open], [b"one", b"two", b"three"]
    unread = lines.pop(1 - was_open)
    pread = os.pread

    def failing(fd: int, size: int, offset: int) -> bytes:
        if os.fstat(fd).st_ino == bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return pread(fd, size, offset)

    monkeypatch.setattr(os, "pread", failing)
    assert texts(follower, [Rename(app, name) for name in names]) == lines
    descriptors = len(os.listdir("/proc/self/fd"))
    assert texts(follower, []) == []
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert set(logged) == {"file_rotated", "watch_failed"}
    monkeypatch.undo()
    assert texts(follower, []) == [unread]
    follower.close()


@pytest.mark.parametrize("deep", [True, False])
def test_the_position_of_a_file_without_read_permission_is_kept_and_does_not_affect_the_others(
    app: Path, closed: set[Path], logged: list[str], deep: bool
) -> None:
    """`watch` ended at the start with status 1, whatever else there was to be read."""
    follower = FileFollower(app)
    add(app, b"one\n")
    stored = follower.positions()
    rotated = app.with_name("app.log.2" if deep else "app.log.1")
    app.rename(rotated)
    if deep:
        app.with_name("app.log.1").write_bytes(b"two\n")
    app.write_bytes(b"three\n")
    closed.add(rotated)
    follower = restart(app, follower)
    assert texts(follower) == [b"two", b"three"][1 - deep :]
    assert set(logged) == {"watch_failed"}
    assert follower.positions()[0] == stored[0]
    follower = restart(app, follower)
    closed.clear()
    assert texts(follower, []) == [b"one"]
    assert texts(follower, []) == []
    follower.close()


def test_a_file_without_read_permission_at_the_start_is_read_later_from_its_position(
    app: Path, closed: set[Path], logged: list[str]
) -> None:
    follower = FileFollower(app)
    add(app, b"one\n")
    closed.add(app)
    follower = restart(app, follower)
    assert texts(follower, []) == []
    assert set(logged) == {"watch_failed"}
    closed.clear()
    assert texts(follower, []) == [b"one"]
    add(app, b"two\n")
    assert texts(follower, []) == [b"two"]
    assert len(follower.positions()) == 1
    follower.close()


def test_a_file_that_could_not_be_read_and_was_removed_has_no_other_file_read_twice(
    app: Path, closed: set[Path], logged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LINGER_S", -1)
    follower = FileFollower(app)
    app.rename(app.with_name("app.log.2"))
    app.with_name("app.log.1").write_bytes(b"two\n")
    app.write_bytes(b"three\n")
    closed.add(app.with_name("app.log.2"))
    follower = restart(app, follower)
    assert texts(follower, []) == [b"two", b"three"]
    assert texts(follower, []) == []
    app.with_name("app.log.2").unlink()
    assert texts(follower, []) == []
    assert logged[-1] == "file_gone"
    app.rename(app.with_name("app.log.0"))
    app.write_bytes(b"four\n")
    assert texts(follower, None) == [b"four"]
    follower.close()


def test_an_old_file_with_a_time_in_the_future_is_not_read_at_each_rotation_of_a_link(tmp_path: Path) -> None:
    """The clock was set back, or the file was copied: 600 old lines were published again at every rotation."""
    real, link = tmp_path / "real" / "app.log", tmp_path / "app.log"
    real.parent.mkdir()
    add(real, b"before\n")
    for number in (1, 2, 3):
        old = real.with_name(f"app.log.{number}")
        add(old, b"old %d\n" % number)
        os.utime(old, (old.stat().st_mtime + 3600,) * 2)
    link.symlink_to(real)
    follower = FileFollower(link)
    found = []
    for rotation in range(3):
        add(real, b"new %d\n" % rotation)
        for number in range(rotation + 3, 0, -1):
            real.with_name(f"app.log.{number}").rename(real.with_name(f"app.log.{number + 1}"))
        real.rename(real.with_name("app.log.1"))
        real.touch()
        found += [text for _ in range(3) for text in texts(follower)]
    assert found == [b"new 0", b"new 1", b"new 2"]
    follower.close()


@pytest.mark.parametrize("name", ["app.1.log", "app-1.log", "app.log.1"])
def test_reading_continues_in_a_short_file_that_was_renamed_while_stopped(tmp_path: Path, name: str) -> None:
    """Less than 1 KiB of it had been seen, and its new name may be another program's: later lines were not read."""
    path = tmp_path / "app.log"
    add(path, b"one\n")
    start = at(path, 4)
    add(path, b"two\n")
    path.rename(tmp_path / name)
    add(path, b"three\n")
    follower = FileFollower(path, start)
    assert texts(follower) == [b"two", b"three"]
    follower.close()


def test_a_copy_of_a_file_that_was_empty_at_the_stop_is_read(tmp_path: Path) -> None:
    """The empty file still had its inode. Lines that were written and copied away in the meantime were lost without a report."""
    path = tmp_path / "app.log"
    path.touch()
    first = FileFollower(path, from_start=True)
    first.look(None)
    start = first.positions()
    first.close()
    add(path, b"one\n")
    os.utime(path, (path.stat().st_mtime + 1,) * 2)
    copy = tmp_path / "app.log.1"
    add(copy, path.read_bytes())
    os.utime(copy, (path.stat().st_mtime + 1,) * 2)
    os.truncate(path, 0)
    add(path, b"two\n")
    follower = FileFollower(path, start)
    assert texts(follower) == [b"one", b"two"]
    follower.close()


def test_a_read_of_several_files_returns_no_more_than_a_batch_of_bytes(
    path: Path, follower: FileFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file returned as much as was allowed for all together."""
    monkeypatch.setattr(reading, "READ_BYTES", 1000)
    for number in (2, 1):
        add(path, b"x" * 999 + b"\n")
        follower.look()
        for old in range(number, 0, -1):
            if (name := path.with_name(f"log.{old}")).exists():
                name.rename(path.with_name(f"log.{old + 1}"))
        path.rename(path.with_name("log.1"))
        add(path, (b"x" * 999 + b"\n") * 10)
        follower.look([Rename(path, path.with_name("log.1"))])
    sizes = []
    while found := follower.read(size=3000):
        sizes.append(sum(len(line.text) for line in found))
    assert sum(sizes) == 22 * 999
    assert max(sizes) <= 4 * 999


def test_a_file_that_cannot_be_opened_has_no_other_file_read_twice(
    app: Path, closed: set[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one was returned again each time after it had been read to its end, every ten seconds."""
    monkeypatch.setattr(following, "LINGER_S", -1)
    add(app, b"one\n")
    start = at(app, 4)
    app.unlink()  # it was compressed
    readable, unreadable = app.with_name("app.log.2"), app.with_name("app.log.1")
    readable.write_bytes(b"two\n")
    unreadable.write_bytes(b"three\n")
    app.write_bytes(b"four\n")
    closed.add(unreadable)
    follower = FileFollower(app, [start[0]._replace(changed_ns=1)])
    assert [text for _ in range(6) for text in texts(follower, [])] == [b"two", b"four"]
    closed.clear()
    assert [text for _ in range(6) for text in texts(follower, [])] == [b"three"]
    follower.close()


def test_the_siblings_of_a_link_are_not_listed_at_each_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing of 2,000 files in the same directory took 155 ms of CPU, twice a second and at each write."""
    add(tmp_path / "real", b"one\n")
    (tmp_path / "app.log").symlink_to("real")
    follower = FileFollower(tmp_path / "app.log")
    listings = []
    monkeypatch.setattr(SiblingFiles, "write_times", lambda _: listings.append(1) or {})
    for _ in range(20):
        add(tmp_path / "real", b"more\n")
        assert texts(follower) == [b"more"]
    assert listings == []
    (tmp_path / "real.1").touch()
    texts(follower)
    assert listings == [1]
    follower.close()
