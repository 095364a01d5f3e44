"""`export` as a user runs it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

from consumer.errors import Exit
from tests.support import archives
from tests.support.archive_logs import archive_log, event, some
from tests.support.command_line import deedbox


def test_an_export_reports_its_files_and_the_fields_that_the_format_cannot_hold(tmp_path: Path) -> None:
    one = archive_log(tmp_path / "archive")
    one.append([*some(0, 5), event(5)._replace(body=b"\xff")])
    done = deedbox("export", tmp_path / "archive", "--format", "theia", "--out", tmp_path / "out", "--type", "type.?")
    assert done.returncode == Exit.DAMAGED
    assert "5 events in 1 file," in done.stdout
    assert "the format has no place for a body that is not UTF-8: 1 event\n" in done.stderr
    whole = deedbox("export", tmp_path / "archive", "--format", "jsonl", "--out", tmp_path / "out", "--type", "type.1")
    assert (whole.returncode, whole.stderr) == (Exit.OK, "")
    lines = (tmp_path / "out" / "events.jsonl").read_bytes().splitlines()
    assert [orjson.loads(line)["id"] for line in lines] == ["id-1", "id-4"]
    again = deedbox("export", tmp_path / "archive", "--format", "jsonl", "--out", tmp_path / "out")
    assert again.returncode != Exit.OK
    assert "no file is ever replaced" in again.stderr
    nothing = deedbox("export", tmp_path / "nothere", "--format", "jsonl", "--out", tmp_path / "other")
    assert (nothing.returncode, "nothing is there" in nothing.stderr) == (Exit.SETTINGS, True)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_export_leaves_no_file(tmp_path: Path, sign: signal.Signals) -> None:
    """Regression: SIGTERM left an unfinished file."""
    one = archive_log(tmp_path / "archive")
    one.append([event(serial)._replace(body=b"x" * 5000) for serial in range(50)])
    out = tmp_path / "out"
    command = ["export", tmp_path / "archive", "--format", "jsonl", "--out", out, "--match", r"(x+x+)+(?=y)\1z"]
    with subprocess.Popen([sys.executable, "-m", "consumer", *map(str, command)], stderr=subprocess.PIPE) as exporting:
        while not list(out.glob("*.part")):  # each event takes until the time limit of the expression
            assert exporting.poll() is None
            time.sleep(0.01)
        exporting.send_signal(sign)
        assert exporting.wait(60) == 128 + sign
        assert exporting.stderr is not None
        assert b"Traceback" not in exporting.stderr.read()
    assert list(out.iterdir()) == []


def test_a_second_export_of_lines_names_the_file_that_exists(tmp_path: Path) -> None:
    """Regression: the error named a temporary file."""
    archive_log(tmp_path / "archive").append(some(0, 3))
    arguments = ("export", tmp_path / "archive", "--format", "shoebox-json", "--out", tmp_path / "out")
    assert deedbox(*arguments).returncode == Exit.OK
    (made,) = (tmp_path / "out").iterdir()
    again = deedbox(*arguments)
    assert (again.returncode, again.stderr) == (
        Exit.DAMAGED,
        f"deedbox: {made}: exists, and no file is ever replaced\n",
    )
    assert list((tmp_path / "out").iterdir()) == [made]


@pytest.mark.parametrize("format", ["jsonl", "shoebox"])
def test_an_export_that_shows_marked_events_keeps_their_marks(doubled: Path, tmp_path: Path, format: str) -> None:
    hidden = deedbox("export", doubled, "--format", format, "--out", tmp_path / "hidden")
    assert hidden.stderr.startswith("deedbox: 2 events hidden")
    assert "3 events in 1 file" in hidden.stdout
    assert (
        deedbox("export", doubled, "--format", format, "--out", tmp_path / "all", "--duplicates", "show").stderr == ""
    )
    back = tmp_path / "back"
    assert deedbox("import", tmp_path / "all", "--format", format, "--dir", back).returncode == Exit.OK
    assert sorted(archives.events(back)) == sorted(archives.events(doubled))
