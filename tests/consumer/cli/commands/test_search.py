"""`search` as a user runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

from consumer.archive.listing import find_archives
from consumer.errors import Exit
from tests.support.command_line import deedbox, ids


def test_search_prints_what_it_finds_and_what_that_cost(directory: Path) -> None:
    done = deedbox(
        "search", "--type", "type.1", "--type", "!x", directory, "--order", "desc", "--limit", 2, "--explain"
    )
    assert (done.returncode, ids(done.stdout)) == (Exit.OK, ["id-97", "id-94"])
    assert done.stderr.startswith("deedbox: read ")
    assert deedbox("search", directory, "--count", "--where", "serial>=90").stdout == "10\n"


def test_search_names_what_it_cannot_read(directory: Path) -> None:
    first = find_archives([directory])[0]
    first.chmod(0o600)
    first.write_bytes(first.read_bytes()[:700])
    done = deedbox("search", directory, "--count")
    assert (done.returncode, done.stdout) == (Exit.DAMAGED, "50\n")
    assert done.stderr.count("\n") == 1
    assert f"{first}: at " in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
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
def test_odd_arguments_are_said_in_a_line(directory: Path, arguments: list[str], status: Exit, says: str) -> None:
    done = deedbox(*(directory if argument == "DIR" else argument for argument in arguments))
    assert done.returncode == status
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_pipe_that_closes_ends_it_quietly(directory: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m consumer search {directory} {directory} {directory} | head -1", shell=True, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    assert (len(done.stdout.splitlines()), done.stderr) == (1, "")


def test_nothing_is_said_of_duplicates_where_there_are_none(directory: Path) -> None:
    for command in ("cat", "search", "tail"):
        assert deedbox(command, directory).stderr == ""


def test_counting_leaves_marked_events_out(doubled: Path) -> None:
    assert deedbox("search", doubled, "--count").stdout == "3\n"
    assert deedbox("search", doubled, "--count", "--duplicates", "show").stdout == "5\n"


def test_a_path_that_is_not_there_is_a_fault_also_with_a_limit_of_none(directory: Path) -> None:
    assert deedbox("search", directory, directory / "missing", "--limit", 0).returncode == Exit.DAMAGED


def test_a_negative_number_of_workers_is_refused(directory: Path) -> None:
    done = deedbox("search", directory, "--workers", -1)
    assert (done.returncode, done.stdout) == (Exit.SETTINGS, "")
    assert done.stderr == "deedbox: --workers -1; name a number from 0 on; 0 reads in this process alone\n"


@pytest.mark.parametrize("command", [["search"], ["search", "--count"], ["cat"], ["tail"]])
def test_a_directory_without_archives_is_said(tmp_path: Path, command: list[str]) -> None:
    """The answer was the same as of a search that finds nothing, and the directory may be the wrong one."""
    done = deedbox(*command, tmp_path)
    assert (done.returncode, done.stderr) == (Exit.OK, f"deedbox: {tmp_path}: no archive is there\n")


def test_what_a_search_cost_is_counted_in_words_that_fit(directory: Path) -> None:
    (sealed,) = directory.rglob("2*/*.zst")
    assert ": the index of 1 archive, and 1 batch\n" in deedbox("search", sealed, "--count", "--explain").stderr
