"""Steps on seal, over real directories, with real programs and real kills."""

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import orjson
import pytest

from consumer import log
from consumer.archive.listing import find_archives
from consumer.archive.naming import parse_sealed
from consumer.archive.reading.reader import open_archive
from consumer.archive.reading.tombstones import add_tombstones
from consumer.disk.durable import Disk
from consumer.errors import DeedboxError
from consumer.ship.steps.progress import progress_path
from tests.support.command_line import deedbox
from tests.support.mounts import small_ext4
from tests.support.steps import Clock, Seen, checkpoint, sealed, worker

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a real file system takes root")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def note(log: Path) -> str:
    """A run step that appends the name of the archive to a file."""
    return f"run sh -c 'echo $DEEDBOX_ARCHIVE_ID >> {log}'"


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []


def test_steps_run_in_their_order_for_each_archive(tmp_path: Path, root: Path) -> None:
    paths = sealed(root, 2)
    log, asked = tmp_path / "log", []
    steps = worker(root, "ship", f"link {tmp_path}/new", note(log), shipped=lambda path: asked.append(path) or True)
    assert steps.look() is True
    assert asked == paths
    assert names(tmp_path / "new") == [path.name for path in paths]
    assert log.read_text() == "one-00000001\none-00000002\n"


def test_finished_archives_are_not_touched_again_also_by_the_next_process(tmp_path: Path, root: Path) -> None:
    sealed(root, 1)
    first = worker(root, note(tmp_path / "log"))
    assert (first.look(), first.look()) == (True, True)
    first.close()
    assert worker(root, note(tmp_path / "log")).look() is True
    assert (tmp_path / "log").read_text() == "one-00000001\n"


def test_a_step_that_is_added_later_runs_for_the_archives_that_are_there(tmp_path: Path, root: Path) -> None:
    sealed(root, 1)
    first = worker(root, note(tmp_path / "log"))
    first.look()
    first.close()
    worker(root, note(tmp_path / "log"), f"link {tmp_path}/new").look()
    assert (tmp_path / "log").read_text() == "one-00000001\n"
    assert len(names(tmp_path / "new")) == 1


def test_one_callback_that_fails_does_not_stop_the_others_and_keeps_the_archive(tmp_path: Path, root: Path) -> None:
    """Shoebox: the failure of one callback stopped the rest, and the roll."""
    first, second = sealed(root, 2)
    clock = Clock()
    steps = worker(root, f"run test -e {tmp_path}/ready", note(tmp_path / "log"), f"move {tmp_path}/done", clock=clock)
    assert steps.look() is False
    assert (tmp_path / "log").read_text() == "one-00000001\none-00000002\n"
    assert (first.exists(), names(tmp_path / "done")) == (True, [])
    assert steps.reports.failing == 2
    (tmp_path / "ready").touch()
    steps.look()
    assert first.exists(), "the pause before the next try is not over"
    clock.now += 10
    steps.look()
    assert (first.exists(), second.exists()) == (False, True)
    assert names(tmp_path / "done") == [first.name]
    assert (tmp_path / "log").read_text() == "one-00000001\none-00000002\n"


def test_the_pause_between_two_tries_grows_to_its_limit(tmp_path: Path, root: Path) -> None:
    sealed(root, 1)
    clock, tries = Clock(), []

    def shipped(_: Path) -> bool:
        tries.append(clock.now)
        raise DeedboxError("refused")

    steps = worker(root, "ship", clock=clock, shipped=shipped)
    while clock.now < 2000:
        steps.look()
        clock.now += 1
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300]


def test_move_after_suffix_and_suffix_after_move_get_the_new_name(tmp_path: Path, root: Path) -> None:
    """CallbackList of shoebox passed the new name on; Delete and then Move was a TypeError."""
    first, _ = sealed(root, 2)
    raw = first.read_bytes()
    seen = Seen()
    worker(root, "suffix .done", f"move {tmp_path}/a", note(tmp_path / "log"), seen=seen).look()
    assert (tmp_path / "a" / f"{first.name}.done").read_bytes() == raw
    assert (tmp_path / "log").read_text() == "one-00000001\n"
    assert [one.reason for one in seen.departures] == [f"renamed to {first}.done"]
    assert not progress_path(root, parse_sealed(first)).exists()


def test_a_moved_archive_that_waits_for_a_later_step_is_found_by_the_next_process(tmp_path: Path, root: Path) -> None:
    first, _ = sealed(root, 2)
    steps = worker(root, f"move {tmp_path}/a", f"run test -e {tmp_path}/ready", "delete")
    steps.look()
    steps.close()
    assert names(tmp_path / "a") == [first.name]
    (tmp_path / "ready").touch()
    worker(root, f"move {tmp_path}/a", f"run test -e {tmp_path}/ready", "delete").look()
    assert names(tmp_path / "a") == []
    assert names(root / "steps") == ["steps.lock"]


def test_deleted_events_stay_deleted_at_the_new_place(tmp_path: Path, root: Path) -> None:
    first, _ = sealed(root, 2)
    with open_archive(first) as archive:
        add_tombstones(Disk(), archive, [1], "id-1", "2026-11-28T00:00:00.000000Z")
    worker(root, f"link {tmp_path}/new", f"move {tmp_path}/done", "suffix .x").look()
    for path in (tmp_path / "new" / first.name, tmp_path / "done" / f"{first.name}.x"):
        found = [orjson.loads(line)["id"] for line in deedbox("cat", path).stdout.splitlines()]
        assert found == ["id-0", "id-2"]
    assert [name for name in names(first.parent) if "00000001" in name] == []


def test_what_leaves_is_in_the_chain_before_it_leaves(tmp_path: Path, root: Path) -> None:
    first, _ = sealed(root, 2)
    there = []
    worker(
        root, "delete", retire=lambda departures: there.extend((one, one.path.exists()) for one in departures)
    ).look()
    (departure, existed), *rest = there
    assert (departure.path, departure.reason, existed, rest) == (first, "deleted by a step on seal", True, [])
    assert not first.exists()


def test_what_cannot_be_recorded_does_not_leave(root: Path) -> None:
    first, _ = sealed(root, 2)

    def retire(_: object) -> None:
        raise DeedboxError("another process has the chain")

    steps = worker(root, "delete", retire=retire)
    assert (steps.look(), first.exists(), steps.reports.failing) == (False, True, 1)


@pytest.mark.parametrize("step", ["delete", "move TMP/done", "suffix .done"])
def test_the_newest_archive_of_each_instance_stays(tmp_path: Path, root: Path, step: str) -> None:
    """Messages that the broker delivers again are compared with it, and the next archive names it."""
    sealed(root, 2)
    sealed(root, 1, instance="two")
    worker(root, step.replace("TMP", str(tmp_path))).look()
    left = [str(parse_sealed(path)) for path in find_archives([root])]
    assert left == ["one-00000002", "two-00000001"]


@pytest.mark.parametrize("place", ["beside", "folder", "root"])
def test_a_hold_keeps_an_archive(tmp_path: Path, root: Path, place: str) -> None:
    first, _ = sealed(root, 2)
    hold = {"beside": first.with_name(first.name + ".hold"), "folder": first.parent / ".hold", "root": root / ".hold"}
    hold[place].touch()
    clock = Clock()
    steps = worker(root, f"move {tmp_path}/done", clock=clock)
    steps.look()
    assert (first.exists(), steps.reports.failing, steps.reports.waiting) == (True, 0, 2)
    hold[place].unlink()
    clock.now += 10
    steps.look()
    assert names(tmp_path / "done") == [first.name]


def test_a_follower_that_has_not_passed_an_archive_keeps_it(tmp_path: Path, root: Path) -> None:
    first, second, _ = sealed(root, 3)
    checkpoint(root, "f", "one-00000002:0")
    worker(root, f"move {tmp_path}/done").look()
    assert names(tmp_path / "done") == [first.name]
    assert second.exists(), "it holds the event of the checkpoint"


def test_an_archive_is_deleted_only_if_every_destination_has_it_although_no_step_ships(root: Path) -> None:
    first, _ = sealed(root, 2)
    steps = worker(root, "delete", shipped=lambda _: False)
    assert (steps.look(), first.exists()) == (False, True)
    steps.close()
    worker(root, "delete", shipped=lambda _: True).look()
    assert not first.exists()


def test_steps_begin_when_the_repacker_has_decided(tmp_path: Path, root: Path) -> None:
    paths = sealed(root, 2)
    steps = worker(root, f"link {tmp_path}/new")
    steps.ready = lambda path: path == paths[1]
    assert steps.look() is False
    assert names(tmp_path / "new") == [paths[1].name]


def test_one_process_works_on_a_directory(tmp_path: Path, root: Path) -> None:
    sealed(root, 1)
    first, second = worker(root), worker(root, note(tmp_path / "log"))
    first.look()
    assert (second.look(), (tmp_path / "log").exists()) == (False, False)
    first.close()
    assert second.look() is True


def test_a_damaged_record_of_progress_keeps_the_archive_and_the_other_archives_go_on(
    tmp_path: Path, root: Path
) -> None:
    first, second, _ = sealed(root, 3)
    progress_path(root, parse_sealed(first)).parent.mkdir()
    progress_path(root, parse_sealed(first)).write_bytes(b"{")
    steps = worker(root, f"move {tmp_path}/done")
    assert steps.look() is False
    assert (first.exists(), names(tmp_path / "done")) == (True, [second.name])


def test_a_directory_that_was_moved_keeps_its_progress(tmp_path: Path, root: Path) -> None:
    sealed(root, 1)
    first = worker(root, note(tmp_path / "log"))
    first.look()
    first.close()
    root.rename(tmp_path / "elsewhere")
    steps = worker(tmp_path / "elsewhere", note(tmp_path / "log"), f"link {tmp_path}/new")
    assert steps.look() is True
    assert (tmp_path / "log").read_text() == "one-00000001\n"
    assert len(names(tmp_path / "new")) == 1


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "mount").mkdir()
    with small_ext4(tmp_path / "mount", 64) as mount:
        yield mount


def killed_at_every_access(top: Path, *steps: str) -> list[Path]:
    """The directories in which a process was killed, each with its archives and the target of its steps."""
    top.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.support.killed_steps", str(top), *steps]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    kills = [int(line) for line in done.stdout.split()]
    assert len(kills) > 5
    return [top / str(number) for number in kills]


def test_kill_9_at_every_step_of_a_list_loses_no_archive_and_does_all(tmp_path: Path) -> None:
    log = tmp_path / "log"
    steps = (f"run sh -c 'echo $DEEDBOX_ARCHIVE_PATH >> {log}'", "link TARGET.new", "suffix .done", "move TARGET")
    for directory in killed_at_every_access(tmp_path / "kills", *steps):
        target, linked = Path(f"{directory}.target"), Path(f"{directory}.target.new")
        moved = [name for name in names(target) if name.endswith(".done")]
        assert [name[-len("one-00000001.kvp.zst.done") :] for name in moved] == ["one-00000001.kvp.zst.done"]
        assert len([name for name in names(linked) if name.endswith(".zst")]) == 2
        assert (target / "one-00000001.deleted").read_bytes() == b"a line\n"
        assert not list(directory.rglob("one-00000001*"))
        assert [path.name[-20:] for path in directory.rglob("*.zst*")] == ["one-00000002.kvp.zst"]
        assert log.read_text().count(f"{directory}/") >= 2
        assert "one-00000001 renamed to" in (directory / "retired").read_text()


@NEEDS_ROOT
def test_kill_9_at_every_step_of_a_move_to_another_disk(tmp_path: Path, other_disk: Path) -> None:
    """The directories of the kills are on the other disk; the targets are not."""
    step = f"move {tmp_path}/TARGET"
    for directory in killed_at_every_access(other_disk / "kills", step):
        target = Path(f"{tmp_path}/{directory}.target")
        assert [name[-20:] for name in names(target) if name.endswith(".zst")] == ["one-00000001.kvp.zst"]
        assert [name for name in names(target) if name.endswith(".moving")] == []
        assert [path.name[-20:] for path in directory.rglob("*.zst*")] == ["one-00000002.kvp.zst"]


def test_kill_9_at_every_step_of_a_delete(tmp_path: Path) -> None:
    for directory in killed_at_every_access(tmp_path / "kills", "delete"):
        assert [path.name[-20:] for path in directory.rglob("*.zst*")] == ["one-00000002.kvp.zst"]
        assert not list(directory.rglob("one-00000001*"))
        assert "one-00000001 deleted" in (directory / "retired").read_text()


def test_a_defect_of_one_step_is_reported_with_its_place_and_tried_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed(root, 2)
    lines: list[dict[str, object]] = []
    monkeypatch.setattr(log, "emit", lambda event, **fields: lines.append({"event": event.name, **fields}))
    clock = Clock()

    def shipped(path: Path) -> bool:
        if "00000001" in path.name:
            raise ValueError("nobody expects it")
        return True

    steps = worker(root, "ship", clock=clock, shipped=shipped)
    assert steps.look() is False
    assert [(line["event"], line["wait_s"]) for line in lines if "wait_s" in line] == [("step_defect", 1.0)]
    assert "ValueError: nobody expects it (test_worker.py, line" in str(lines[0]["reason"])
    assert [line["archive"] for line in lines if line["event"] == "step_done"] == ["one-00000002"]
    clock.now += 2
    steps.look()
    assert [line["wait_s"] for line in lines if line["event"] == "step_defect"] == [1.0, 2.0]
