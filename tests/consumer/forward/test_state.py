import os
from pathlib import Path

import orjson
import pytest

from consumer.disk.durable import Disk
from consumer.errors import DeedboxError, Exit, Fatal
from consumer.forward.state import WatchState
from consumer.watch.line_position import LinePosition


def position(offset: int) -> LinePosition:
    return LinePosition(7, offset, offset, 0, 1 << 63, "content_id")


def test_positions_are_loaded_in_the_next_run(tmp_path: Path) -> None:
    state = WatchState(Disk(), tmp_path / "state")
    state.store({"/log": [position(1), position(2)], "/other": []})
    state.close()
    state = WatchState(Disk(), tmp_path / "state")
    assert state.known == {"/log": [position(1), position(2)], "/other": []}
    state.close()


def test_two_processes_with_one_state_do_not_erase_each_other(tmp_path: Path) -> None:
    first = WatchState(Disk(), tmp_path / "state")
    with pytest.raises(Fatal, match="is used by another process") as caught:
        WatchState(Disk(), tmp_path / "state")
    assert caught.value.exit is Exit.INSTANCE
    first.close()
    WatchState(Disk(), tmp_path / "state").close()


@pytest.mark.parametrize("text", ["{", "[]", '{"files": {"/log": [[1, 2]]}}'])
def test_a_state_file_that_cannot_be_read_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "state").write_text(text)
    with pytest.raises(DeedboxError, match=r"state: .*; repair the file"):
        WatchState(Disk(), tmp_path / "state")


@pytest.mark.parametrize("text", ['{"format": 2, "files": {}}', '{"format": 2, "positions": []}'])
def test_a_state_file_of_another_format_is_an_error_and_is_kept(tmp_path: Path, text: str) -> None:
    """It was read as one of this format, and replaced."""
    (tmp_path / "state").write_text(text)
    with pytest.raises(DeedboxError, match="has format 2, expected 1; use the version of Deedbox that wrote it"):
        WatchState(Disk(), tmp_path / "state")
    assert (tmp_path / "state").read_text() == text


@pytest.mark.parametrize("kind", ["pipe", "device", "directory"])
def test_a_state_file_that_is_not_a_regular_file_is_an_error(tmp_path: Path, kind: str) -> None:
    """A pipe blocked the command, and a lock file was left next to a device."""
    path = Path("/dev/null") if kind == "device" else tmp_path / "state"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    with pytest.raises(DeedboxError, match="is not a regular file; name another state file"):
        WatchState(Disk(), path)
    assert not path.with_name(path.name + ".lock").exists()


def test_a_negative_position_is_an_error(tmp_path: Path) -> None:
    """The kernel refused it, as an error of the watched file."""
    state = WatchState(Disk(), tmp_path / "state")
    state.store({"/log": [position(1)]})
    state.close()
    raw = (tmp_path / "state").read_bytes()
    (tmp_path / "state").write_bytes(raw.replace(b"[7,1,", b"[7,-1,"))
    with pytest.raises(DeedboxError, match=r"`int` >= 0.*; repair the file"):
        WatchState(Disk(), tmp_path / "state")


@pytest.mark.parametrize(
    "change",
    [{"offset": 1 << 63}, {"offset": 1 << 70}, {"start": 1 << 63}, {"head_bytes": 1 << 62}, {"head_bytes": 1 << 63}],
)
def test_a_position_that_no_file_can_have_is_an_error(tmp_path: Path, change: dict[str, int]) -> None:
    """It was a traceback, an error of the watched file, or "out of memory"."""
    state = WatchState(Disk(), tmp_path / "state")
    state.store({"/log": [position(1)._replace(**change)]})
    state.close()
    with pytest.raises(DeedboxError, match=r"state: Expected `int` <= .*; repair the file"):
        WatchState(Disk(), tmp_path / "state")


def test_two_links_to_one_state_file_are_one_state_file(tmp_path: Path) -> None:
    """Each had a lock of its own, and the first one that stored replaced its link."""
    (tmp_path / "elsewhere").mkdir()
    for name in ("first", "second"):
        (tmp_path / name).symlink_to(tmp_path / "elsewhere" / "state")
    state = WatchState(Disk(), tmp_path / "first")
    state.store({"/log": [position(1)]})
    with pytest.raises(Fatal, match="is used by another process"):
        WatchState(Disk(), tmp_path / "second")
    state.close()
    state = WatchState(Disk(), tmp_path / "second")
    assert state.known == {"/log": [position(1)]}
    state.close()


def test_a_state_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DeedboxError, match="make the state file writable"):
        WatchState(Disk(), tmp_path / "missing" / "state")


def test_refused_messages_are_kept_one_a_line(tmp_path: Path) -> None:
    state = WatchState(Disk(), tmp_path / "state")
    for body in (b"one", b"\xff\n"):
        assert state.set_aside(body, {"path": os.fsdecode(b"x"), "position": 5}) == str(tmp_path / "state.refused")
    lines = [orjson.loads(line) for line in (tmp_path / "state.refused").read_bytes().splitlines()]
    assert [(line["path"], line["position"], line["body_base64"]) for line in lines] == [
        ("x", 5, "b25l"),
        ("x", 5, "/wo="),
    ]
    state.close()


def test_nothing_is_stored_without_a_state_file() -> None:
    state = WatchState(Disk(), None)
    state.store({"/log": [position(1)]})
    assert state.set_aside(b"one", {}) == ""
    state.close()


def test_a_file_is_known_by_its_content_id() -> None:
    state = WatchState(Disk(), None)
    assert not state.has_stored("/log", [position(1)])
    state.store({"/log": [position(1)]})
    assert state.has_stored("/log", [position(2)])
    assert state.has_stored("/log", [])
    assert not state.has_stored("/log", [position(2), position(2)._replace(content_id="another")])
