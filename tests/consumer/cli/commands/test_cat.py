"""`cat` as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from consumer.errors import Exit
from tests.support.archive_logs import archive_log, some
from tests.support.command_line import deedbox, ids


def test_cat_prints_a_table_and_local_times(directory: Path) -> None:
    table = deedbox("cat", directory, "--format", "table").stdout.splitlines()
    assert (len(table), table[0].split()[:2], "type.1" in table[2]) == (101, ["time", "position"], True)
    local = subprocess.run(
        [sys.executable, "-m", "consumer", "cat", directory, "--local"], check=True, capture_output=True, text=True,
        env={**os.environ, "TZ": "Asia/Tokyo"},
    )  # fmt: skip
    assert orjson.loads(local.stdout.splitlines()[0])["time"] == "2025-11-22T01:15:00.000000+09:00"


def test_cat_reports_the_event_on_which_an_expression_times_out(directory: Path) -> None:
    slow = archive_log(directory, instance="slow")
    slow.append([event._replace(body=b"x" * 5000) for event in some(200, 1)])
    done = deedbox("cat", directory, "--match", r"(x+x+)+(?=y)\1z|serial", "--type", "*")
    assert (done.returncode, len(ids(done.stdout))) == (Exit.DAMAGED, 100)
    assert done.stderr.count("\n") == 1
    assert "slow-00000001:0: the expression" in done.stderr


@pytest.mark.parametrize("command", [("cat",), ("search",), ("tail", "-n", 99), ("cat", "--format", "kvp")])
def test_readers_hide_duplicates_and_report_their_number(doubled: Path, command: tuple[object, ...]) -> None:
    def shown(*options: str) -> tuple[int, str]:
        done = deedbox(*command, doubled, *options)
        assert done.returncode == Exit.OK
        return done.stdout.count("id-"), done.stderr

    assert shown() == (3, "deedbox: 2 events hidden, which are marked as duplicates; --duplicates show prints them\n")
    assert shown("--duplicates", "show") == (5, "")
    assert shown("--duplicates", "only") == (2, "")


def test_cat_prints_kvp_records_without_changes(doubled: Path) -> None:
    shown = [
        deedbox("cat", doubled, "--format", "kvp", "--duplicates", mode).stdout for mode in ("show", "hide", "only")
    ]
    assert shown[0] == shown[1] + shown[2]
    assert len(shown[1]) == 3 * 2560


@pytest.mark.parametrize("format", ["jsonl", "kvp", "raw"])
def test_cat_ends_at_its_limit(directory: Path, format: str) -> None:
    def shown(*options: object) -> str:
        return deedbox("cat", directory, "--format", format, *options).stdout

    size = {
        "jsonl": lambda text: text.count("\n"),
        "raw": lambda text: text.count("\n"),
        "kvp": lambda text: len(text) // 2560,
    }
    assert size[format](shown("--limit", 3)) == 3
    assert shown().startswith(shown("--limit", 3))
    assert shown("--limit", 0) == ""
