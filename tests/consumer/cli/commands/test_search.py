"""`search` as a user runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

from consumer.archive.listing import find_archives
from consumer.errors import Exit
from tests.support.command_line import deedbox, ids


def test_search_explains_how_much_was_read(directory: Path) -> None:
    done = deedbox(
        "search", "--type", "type.1", "--type", "!x", directory, "--order", "desc", "--limit", 2, "--explain"
    )
    assert (done.returncode, ids(done.stdout)) == (Exit.OK, ["id-97", "id-94"])
    assert done.stderr.startswith("deedbox: read ")
    assert deedbox("search", directory, "--count", "--where", "serial>=90").stdout == "10\n"


def test_search_reports_an_archive_that_cannot_be_read(directory: Path) -> None:
    first = find_archives([directory])[0]
    first.chmod(0o600)
    first.write_bytes(first.read_bytes()[:700])
    done = deedbox("search", directory, "--count")
    assert (done.returncode, done.stdout) == (Exit.DAMAGED, "50\n")
    assert done.stderr.count("\n") == 1
    assert f"{first}: at " in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["search", "--limit", "-1", "DIR"], Exit.SETTINGS, "--limit -1"),
        (["tail", "-n", "-1", "DIR"], Exit.SETTINGS, "--newest -1"),
        (["tail", "/nope"], Exit.DAMAGED, "nothing is there"),
        (["compact", "/nope"], Exit.DAMAGED, ""),
        (["search", "/nope"], Exit.DAMAGED, "No such file"),
        (["search", "--match", "(" * 3000, "DIR"], Exit.SETTINGS, "no regular expression"),
        (["cat", "--since", "1h", "--until", "2h", "DIR"], Exit.SETTINGS, "no event can be between"),
        (["tail", "--arrived-since", "1h", "--arrived-until", "2h", "DIR"], Exit.SETTINGS, "no event can be between"),
        (["search", "--where", "name=~x", "DIR"], Exit.SETTINGS, "has the operator '=~'"),
        (["search", "--where", "headers=3", "DIR"], Exit.SETTINGS, "write headers.NAME"),
    ],
)
def test_wrong_arguments_are_reported_without_a_traceback(
    directory: Path, arguments: list[str], status: Exit, message: str
) -> None:
    done = deedbox(*(directory if argument == "DIR" else argument for argument in arguments))
    assert done.returncode == status
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_pipe_ends_search_without_an_error(directory: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m consumer search {directory} {directory} {directory} | head -1", shell=True, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    assert (len(done.stdout.splitlines()), done.stderr) == (1, "")


def test_nothing_is_reported_if_no_event_is_a_duplicate(directory: Path) -> None:
    for command in ("cat", "search", "tail"):
        assert deedbox(command, directory).stderr == ""


def test_counting_leaves_marked_events_out(doubled: Path) -> None:
    assert deedbox("search", doubled, "--count").stdout == "3\n"
    assert deedbox("search", doubled, "--count", "--duplicates", "show").stdout == "5\n"


def test_a_missing_path_is_an_error_also_with_limit_0(directory: Path) -> None:
    assert deedbox("search", directory, directory / "missing", "--limit", 0).returncode == Exit.DAMAGED


def test_a_negative_number_of_workers_is_refused(directory: Path) -> None:
    done = deedbox("search", directory, "--workers", -1)
    assert (done.returncode, done.stdout) == (Exit.SETTINGS, "")
    assert done.stderr == "deedbox: --workers -1; give 0 or more; 0 reads in this process alone\n"


@pytest.mark.parametrize("command", [["search"], ["search", "--count"], ["cat"], ["tail"]])
def test_a_directory_without_archives_is_reported_by_each_reader(tmp_path: Path, command: list[str]) -> None:
    """Regression: the output was that of a search without results. The user may have named the wrong directory."""
    done = deedbox(*command, tmp_path)
    assert (done.returncode, done.stderr) == (Exit.OK, f"deedbox: {tmp_path}: no archive is there\n")


def test_explain_uses_the_right_plurals(directory: Path) -> None:
    (sealed,) = directory.rglob("2*/*.zst")
    assert ": the index of 1 archive, and 1 batch\n" in deedbox("search", sealed, "--count", "--explain").stderr
