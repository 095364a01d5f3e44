"""Arguments that several commands have, through the command line."""

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from consumer.errors import Exit
from tests.support.archive_logs import archive_log, some
from tests.support.command_line import deedbox, ids


@pytest.mark.parametrize("command", ["ls", "cat", "search", "tail", "verify", "repair", "compact"])
def test_an_archive_on_standard_input_is_refused(command: str) -> None:
    done = deedbox(command, "-")
    assert (done.returncode, done.stdout) == (Exit.SETTINGS, "")
    assert "Archives cannot be read from standard input" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_option_that_does_not_exist_is_not_a_path(directory: Path) -> None:
    done = deedbox("search", directory, "--limt", "5")
    assert (done.returncode, "Unknown option: --limt. Did you mean --limit?" in done.stderr) == (Exit.SETTINGS, True)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """An event whose body is JSON, and one whose body is text."""
    one = archive_log(tmp_path / "mixed")
    first, second = some(1, 2)
    one.append([first._replace(body=b'{"payload":\n{"size": 10}}'), second._replace(body=b"text")])
    return tmp_path / "mixed"


@pytest.mark.parametrize("command", [["cat"], ["search"], ["tail"], ["cat", "--local"], ["cat", "--type", "*"]])
def test_a_json_body_is_shown_as_json(mixed: Path, command: list[str]) -> None:
    lines = [orjson.loads(line) for line in deedbox(*command, mixed, "--json-body").stdout.splitlines()]
    assert [line.get("body_json", line.get("body")) for line in lines] == [{"payload": {"size": 10}}, "text"]
    assert ["body" in line for line in lines] == [False, True]


def test_get_shows_a_json_body(mixed: Path) -> None:
    assert orjson.loads(deedbox("get", "id-1", mixed, "--json-body").stdout)["body_json"] == {"payload": {"size": 10}}


def test_lines_with_json_bodies_are_not_imported(mixed: Path, tmp_path: Path) -> None:
    (tmp_path / "lines").write_text(deedbox("cat", mixed, "--json-body").stdout)
    done = deedbox("import", tmp_path / "lines", "--format", "jsonl", "--dir", tmp_path / "other")
    assert done.returncode == Exit.DAMAGED
    assert "print it again without --json-body" in done.stderr
    assert ids(deedbox("cat", tmp_path / "other").stdout) == ["id-2"]


@pytest.mark.parametrize("command", [["cat"], ["search"], ["tail"], ["get", "id-1"]])
def test_a_table_has_the_columns_that_are_named(mixed: Path, command: list[str]) -> None:
    done = deedbox(*command, mixed, "--format", "table", "--columns", "id,payload.size,body")
    assert [line.split()[:2] for line in done.stdout.splitlines()[:2]] == [["id", "payload.size"], ["id-1", "10"]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--columns", "id"],
            "--columns does not work with --format jsonl; use --format table, or leave --columns out",
        ),
        (["--json-body", "--format", "table"], "--json-body does not work with --format table; use --format jsonl"),
        (["--format", "table", "--columns", "a=b"], "'a=b' is not the name of a column; use "),
    ],
)
@pytest.mark.parametrize("command", [["cat"], ["search"], ["tail"], ["get", "id-1"]])
def test_an_option_of_another_format_is_refused(
    mixed: Path, command: list[str], options: list[str], message: str
) -> None:
    done = deedbox(*command, mixed, *options)
    assert (done.returncode, done.stdout) == (Exit.SETTINGS, "")
    assert message in done.stderr


def test_files_of_standard_input_are_imported(mixed: Path, tmp_path: Path) -> None:
    lines = deedbox("cat", mixed).stdout
    done = subprocess.run(
        [sys.executable, "-m", "consumer", "import", "-", "--format", "jsonl", "--dir", tmp_path / "other"], check=False,
        input=lines, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (Exit.OK, "standard input: 2 events\n", "")
    assert deedbox("cat", tmp_path / "other").stdout.count("id-") == 2


def test_damage_in_standard_input_is_reported_by_its_name(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "consumer", "import", "--format", "jsonl", "--dir", tmp_path, "-"], check=False,
        input='{"a":1}\nnot json\n', capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (Exit.DAMAGED, "standard input: 1 event, 1 part skipped\n")
    assert done.stderr.startswith("deedbox: standard input: at 8: 8 bytes: ")


@pytest.mark.parametrize(
    "arguments",
    [("export", ".", "--format", "jsonl", "--out", "-"), ("config", "--config", "-"), ("search", ".", "--match", "-")],
)
def test_standard_input_is_not_the_value_of_an_option(arguments: tuple[str, ...]) -> None:
    """`--out -` was the file /dev/stdin, and `--match -` searched for that name."""
    done = deedbox(*arguments)
    assert (done.returncode, done.stdout) == (Exit.SETTINGS, "")
    assert arguments[-2] in done.stderr
    assert "/dev/stdin" not in done.stderr
