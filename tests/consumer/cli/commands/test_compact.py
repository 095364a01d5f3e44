"""`compact` as a user runs it."""

from pathlib import Path

from consumer.archive.listing import find_archives
from consumer.errors import Exit
from tests.support.archive_logs import archive_log, some
from tests.support.command_line import deedbox


def test_a_deleted_event_is_hidden_from_all_commands_until_compact_removes_it(directory: Path) -> None:
    """Theia cannot get or delete an event."""
    for id in ("id-7", "id-77"):
        assert deedbox("delete", id, directory).stdout.startswith("1 event deleted")
    assert deedbox("delete", "id-7", directory).returncode == Exit.NOT_FOUND
    assert deedbox("search", directory, "--count").stdout == "98\n"
    for format in ("jsonl", "raw", "kvp"):
        shown = deedbox("cat", directory, "--format", format).stdout
        assert ("id-6" in shown or '"serial":6,' in shown, '"serial":7,' in shown, '"serial":77,' in shown) == (
            True, False, False,
        )  # fmt: skip
    assert "2 deleted and hidden, 0 removed" in deedbox("verify", directory).stdout
    assert "compacted: " in deedbox("compact", directory).stdout
    verified = deedbox("verify", directory)
    assert (verified.returncode, "1 deleted and hidden, 1 removed" in verified.stdout) == (Exit.OK, True)
    assert deedbox("search", directory, "--count").stdout == "98\n"


def test_compact_does_not_change_another_directory_with_the_same_names(directory: Path, tmp_path: Path) -> None:
    other = archive_log(tmp_path / "archive" / "other")
    other.append(some(100, 50))
    other.roll("test")
    assert deedbox("delete", "id-7", tmp_path).stdout.startswith("1 event deleted")
    deedbox("delete", "id-9", find_archives([directory])[0].parent)
    deedbox("compact", tmp_path)
    assert deedbox("search", tmp_path, "--count").stdout == "148\n"
    assert deedbox("get", "id-107", tmp_path).returncode == Exit.OK
    assert deedbox("get", "id-7", tmp_path).returncode == Exit.NOT_FOUND


def test_compact_of_a_file_that_is_not_an_archive_is_an_error(tmp_path: Path) -> None:
    """Regression: compact reported that there was nothing to do."""
    (tmp_path / "events.jsonl").write_text("{}\n")
    done = deedbox("compact", tmp_path / "events.jsonl")
    assert done.returncode == Exit.DAMAGED
    assert done.stdout.startswith(f"unreadable: {tmp_path / 'events.jsonl'}: is no archive\n")
