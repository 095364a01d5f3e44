"""`get`, `delete` and `undelete` as a user runs them."""

import re
import shutil
from pathlib import Path

import pytest

from consumer.archive.listing import find_archives
from consumer.errors import Exit
from tests.support.archive_logs import archive_log, some
from tests.support.command_line import deedbox, ids


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Events 0 to 9 in a sealed archive and 10 to 19 in an open one; 3, 4 and 14 have no id, 5 and 15 have the same."""
    names = {3: "", 4: "", 14: "", 5: "twice", 15: "twice"}
    one = archive_log(tmp_path / "archive")
    for first in (0, 10):
        one.append([event._replace(id=names.get(first + at, event.id)) for at, event in enumerate(some(first, 10))])
        if not first:
            one.roll("test")
    return tmp_path / "archive"


def count(directory: Path) -> int:
    return int(deedbox("search", directory, "--count").stdout)


@pytest.mark.parametrize("command", ["get", "delete", "undelete"])
def test_an_empty_id_is_refused(directory: Path, command: str) -> None:
    """Regression: `delete ''` deleted every event without an id."""
    done = deedbox(command, "", directory)
    assert (done.returncode, done.stdout) == (Exit.SETTINGS, "")
    assert "names every event without an id" in done.stderr
    assert count(directory) == 20


def test_an_event_without_an_id_is_fetched_and_deleted_by_its_position(directory: Path) -> None:
    found = deedbox("get", "one-00000001:3", directory, "--format", "raw")
    assert (found.returncode, found.stdout.startswith('{"serial":3,')) == (Exit.OK, True)
    for position in ("one-00000001:3", "one-00000002:4"):
        assert deedbox("delete", position, directory).stdout.startswith("1 event deleted")
        gone = deedbox("get", position, directory)
        assert (gone.returncode, gone.stderr) == (Exit.NOT_FOUND, f"deedbox: no event has the position '{position}'\n")
    assert count(directory) == 18
    assert deedbox("get", "one-00000009:3", directory).returncode == Exit.NOT_FOUND
    assert deedbox("get", "one-00000001:99", directory).returncode == Exit.NOT_FOUND


def test_a_dry_run_deletes_nothing(directory: Path) -> None:
    done = deedbox("delete", "twice", directory, "--dry-run")
    assert (done.returncode, done.stderr) == (Exit.OK, "")
    assert [line.partition(": ")[2].partition(": ")[0] for line in done.stdout.splitlines()] == [
        "one-00000001:5", "one-00000002:5",
    ]  # fmt: skip
    assert count(directory) == 20
    assert list(directory.rglob("*.deleted*")) == []


def test_several_events_are_deleted_only_with_yes(directory: Path) -> None:
    asked = deedbox("delete", "twice", directory)
    assert (asked.returncode, asked.stdout) == (Exit.SETTINGS, "")
    assert "one-00000001:5: id 'twice'" in asked.stderr
    assert "2 events have the id 'twice', and none was deleted" in asked.stderr
    assert count(directory) == 20
    assert deedbox("delete", "twice", directory, "--yes").stdout.startswith("2 events deleted")
    assert count(directory) == 18


def test_a_deleted_event_can_be_shown_again_until_it_is_compacted(directory: Path) -> None:
    before = deedbox("cat", directory).stdout
    for name in ("id-2", "twice", "id-12", "one-00000001:4"):
        assert deedbox("delete", name, directory, "--yes").returncode == Exit.OK
    assert count(directory) == 15
    assert deedbox("undelete", "twice", directory).stdout == "2 events undeleted: shown again\n"
    assert deedbox("undelete", "one-00000001:4", directory).stdout == "1 event undeleted: shown again\n"
    assert deedbox("undelete", "id-12", directory).stdout == "1 event undeleted: shown again\n"
    assert ids(deedbox("get", "twice", directory).stdout) == ["twice", "twice"]
    assert "compacted: " in deedbox("compact", directory).stdout
    for name in ("id-2", "one-00000001:2", "twice", "id-7", "nothing"):
        gone = deedbox("undelete", name, directory)
        assert (gone.returncode, gone.stdout) == (Exit.NOT_FOUND, "")
    lines = before.splitlines(keepends=True)
    assert deedbox("cat", directory).stdout == "".join(lines[:2] + lines[3:])
    assert deedbox("verify", directory).returncode == Exit.OK


def test_an_event_that_was_deleted_while_its_archive_was_open_is_shown_again_after_the_seal(tmp_path: Path) -> None:
    one = archive_log(tmp_path / "archive")
    one.append(some(0, 3))
    deedbox("delete", "id-1", tmp_path)
    one.roll("test")
    deedbox("delete", "id-2", tmp_path)
    assert [deedbox("undelete", id, tmp_path).stdout for id in ("id-1", "id-2")] == [
        "1 event undeleted: shown again\n"
    ] * 2
    assert count(tmp_path) == 3


def test_a_copy_is_deleted_and_shown_again_with_its_original(directory: Path, tmp_path: Path) -> None:
    shutil.copytree(directory, tmp_path / "copy")
    assert deedbox("delete", "id-2", tmp_path).stdout.startswith("1 event deleted")
    assert (count(directory), count(tmp_path / "copy")) == (19, 19)
    assert deedbox("undelete", "one-00000001:2", tmp_path).stdout == "1 event undeleted: shown again\n"
    assert (count(directory), count(tmp_path / "copy")) == (20, 20)


def test_an_archive_that_cannot_be_read_is_reported_and_the_others_are_searched(directory: Path) -> None:
    (directory / "two-00000001.kvp.zst.open").write_bytes(b"no archive")
    done = deedbox("get", "id-2", directory)
    assert (done.returncode, ids(done.stdout), "two-00000001" in done.stderr) == (Exit.DAMAGED, ["id-2"], True)
    assert len(find_archives([directory])) == 3


def test_a_second_delete_and_a_needless_undelete_report_the_state_of_the_event(directory: Path) -> None:
    """Regression: both reported that there is no such event."""
    assert deedbox("delete", "id-7", directory).returncode == Exit.OK
    again = deedbox("delete", "id-7", directory)
    assert again.returncode == Exit.NOT_FOUND
    assert (
        again.stderr == "deedbox: the event with the id 'id-7' is already deleted; `deedbox undelete` shows it again\n"
    )
    needless = deedbox("undelete", "id-8", directory)
    assert (needless.returncode, needless.stderr) == (
        Exit.NOT_FOUND,
        "deedbox: the event with the id 'id-8' is not deleted\n",
    )


@pytest.mark.parametrize("command", ["get", "delete", "undelete"])
def test_an_unreadable_archive_may_hold_the_event_so_the_status_is_damaged(directory: Path, command: str) -> None:
    """Regression: exit status 3 (no such event) was returned even if an archive could not be read."""
    done = deedbox(command, "elsewhere", directory, directory / "missing")
    assert (done.returncode, done.stdout) == (Exit.DAMAGED, "")
    assert done.stderr.splitlines()[0] == f"deedbox: {directory / 'missing'}: No such file or directory"
    assert done.stderr.endswith(", in the archives that could be read\n")


@pytest.fixture
def doubled(tmp_path: Path) -> Path:
    """Event 1 was delivered twice. The second delivery is in another archive and marked as a duplicate. Both have no id."""
    one = archive_log(tmp_path / "archive")
    first = some(1, 1)[0]._replace(id="")
    one.append([*some(0, 1), first])
    one.roll("test")
    one.append([first._replace(redelivered=True, duplicate="one-00000001:1"), *some(2, 1)])
    one.roll("test")
    return tmp_path / "archive"


def test_delete_of_a_position_deletes_its_duplicates_too(doubled: Path) -> None:
    """Regression: the duplicate was not deleted. It was hidden only by its mark, and its bytes stayed after `compact`."""
    dry = deedbox("delete", "one-00000001:1", doubled, "--dry-run").stdout
    assert re.findall(r"would be deleted: (\S+):", dry) == ["one-00000001:1", "one-00000002:0"]
    done = deedbox("delete", "one-00000001:1", doubled)
    assert (done.returncode, done.stdout.startswith("2 events deleted")) == (Exit.OK, True)
    assert "deleted too: one-00000002:0, " in done.stdout
    assert deedbox("get", "one-00000002:0", doubled).returncode == Exit.NOT_FOUND
    assert deedbox("undelete", "one-00000001:1", doubled).stdout == "2 events undeleted: shown again\n"
    assert deedbox("get", "one-00000002:0", doubled).returncode == Exit.OK
    assert deedbox("delete", "one-00000001:1", doubled).returncode == Exit.OK
    assert deedbox("compact", doubled).stdout.count("compacted: ") == 2
    assert ids(deedbox("cat", doubled, "--duplicates", "show").stdout) == ["id-0", "id-2"]


def test_delete_of_a_duplicate_reports_that_the_first_event_stays(doubled: Path) -> None:
    done = deedbox("delete", "one-00000002:0", doubled)
    assert (done.returncode, done.stdout.startswith("1 event deleted")) == (Exit.OK, True)
    assert "not deleted: one-00000001:1, the first" in done.stdout
    again = deedbox("delete", "one-00000001:1", doubled)
    assert (again.returncode, again.stdout.startswith("1 event deleted")) == (Exit.OK, True)


def test_a_duplicate_that_arrives_after_a_delete_is_deleted_by_a_second_delete(doubled: Path) -> None:
    assert deedbox("delete", "one-00000001:1", doubled).returncode == Exit.OK
    assert deedbox("undelete", "one-00000002:0", doubled).returncode == Exit.OK
    again = deedbox("delete", "one-00000001:1", doubled)
    assert (again.returncode, again.stdout.startswith("1 event deleted")) == (Exit.OK, True)


def test_an_unreadable_archive_may_hold_a_duplicate_so_the_status_is_damaged(doubled: Path) -> None:
    (doubled / "two-00000001.kvp.zst.open").write_bytes(b"no archive")
    done = deedbox("delete", "one-00000001:1", doubled)
    assert (done.returncode, "two-00000001" in done.stderr) == (Exit.DAMAGED, True)
