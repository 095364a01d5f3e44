"""`ls` as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from consumer.archive.listing import find_archives
from consumer.archive.reading.summary import Summary, summarize
from consumer.cli.commands import list_archives as command
from consumer.errors import Exit
from tests.support.archive_logs import archive_log, some
from tests.support.command_line import deedbox


def test_a_table_has_a_row_for_each_archive(directory: Path) -> None:
    done = deedbox("ls", directory)
    assert (done.returncode, done.stderr) == (Exit.OK, "")
    header, sealed, opened = done.stdout.splitlines()
    assert header.split() == [
        "state",
        "events",
        "size",
        "first",
        "event",
        "last",
        "event",
        "instance",
        "types",
        "archive",
    ]
    span = "2025-11-21T16:15:00  2025-11-21T16:15:00  one           "
    assert sealed.split()[:2] == ["sealed", "50"]
    assert sealed.endswith(f"{span}{'type.0 17, type.1 17, type.2 16':40}  {find_archives([directory])[0]}")
    assert opened.split()[:2] == ["open", "50"]
    assert opened.endswith(f"{span}{'-':40}  {find_archives([directory])[1]}")


def test_json_lines_have_everything(directory: Path) -> None:
    done = deedbox("ls", directory, "--format", "jsonl")
    sealed, opened = map(orjson.loads, done.stdout.splitlines())
    path, _ = find_archives([directory])
    assert sealed == {
        "path": str(path), "state": "sealed", "instance": "one", "sequence": 1, "events": 50, "batches": 1,
        "size": path.stat().st_size, "first": "2025-11-21T16:15:00.000000Z", "last": "2025-11-21T16:15:00.000049Z",
        "first_arrived": "2025-11-21T16:15:00.000000Z", "last_arrived": "2025-11-21T16:15:00.000049Z",
        "types": {"type.0": 17, "type.1": 17, "type.2": 16}, "lost": 0, "removed": 0, "fault": None,
    }  # fmt: skip
    assert (opened["state"], opened["events"], opened["types"]) == ("open", 50, None)


def test_times_may_be_in_the_zone_of_this_machine(directory: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "consumer", "ls", directory, "--format", "jsonl", "--local"], check=True,
        capture_output=True, text=True, env={**os.environ, "TZ": "Asia/Tokyo"},
    )  # fmt: skip
    assert orjson.loads(done.stdout.splitlines()[0])["first"] == "2025-11-22T01:15:00.000000+09:00"


def test_a_damaged_archive_is_listed_and_reported(directory: Path) -> None:
    path, _ = find_archives([directory])
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-10])
    done = deedbox("ls", directory)
    assert done.returncode == Exit.DAMAGED
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["state", "damaged", "open"]
    assert done.stderr.startswith(f"deedbox: {path}: ")
    assert done.stderr.count("\n") == 1


def test_a_path_that_does_not_exist_does_not_hide_the_others(directory: Path, tmp_path: Path) -> None:
    done = deedbox("ls", tmp_path / "missing", directory)
    assert (done.returncode, done.stderr) == (
        Exit.DAMAGED,
        f"deedbox: {tmp_path / 'missing'}: No such file or directory\n",
    )
    assert len(done.stdout.splitlines()) == 3


def test_a_directory_without_archives_is_reported(tmp_path: Path) -> None:
    done = deedbox("ls", tmp_path, "--format", "jsonl")
    assert (done.returncode, done.stdout) == (Exit.OK, "")
    assert done.stderr == f"deedbox: {tmp_path}: no archive is there\n"


def test_a_type_cannot_control_the_terminal(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append([event._replace(type="a\x1b[2Jb") for event in some(0, 3)])
    one.roll("test")
    assert "a·[2Jb 3" in deedbox("ls", tmp_path).stdout


@pytest.mark.parametrize("columns", ["80", "200"])
def test_the_path_is_never_shortened(directory: Path, columns: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "consumer", "ls", directory], check=True, capture_output=True, text=True,
        env={**os.environ, "COLUMNS": columns},
    )  # fmt: skip
    for path in find_archives([directory]):
        assert str(path) in done.stdout


def test_each_line_is_printed_before_the_next_archive_is_read(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    def noted(path: Path) -> Summary:
        steps.append("read")
        return summarize(path)

    monkeypatch.setattr(command, "summarize", noted)
    monkeypatch.setattr(command, "print_unchanged", lambda _: steps.append("printed"))
    assert command.list_archives([directory], "jsonl") is Exit.OK
    assert steps == ["read", "printed", "read", "printed"]


def test_ten_thousand_archives_are_listed_in_bounded_memory(tmp_path: Path) -> None:
    one = archive_log(tmp_path / "one")
    one.append(some(0, 10))
    one.roll("test")
    (sealed,) = find_archives([tmp_path / "one"])
    folder = tmp_path / "many" / "20251121"
    folder.mkdir(parents=True)
    for number in range(1, 10_001):
        os.link(sealed, folder / sealed.name.replace("00000001", f"{number:08}"))
    # VmHWM of the process itself. ru_maxrss would be at least the size of the process that started it, here that of all tests.
    script = "import sys; from consumer.cli.commands.list_archives import list_archives; from pathlib import Path; "
    script += "list_archives([Path(sys.argv[1])], 'jsonl'); "
    script += "print(*(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM:')))"
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "many"], check=True, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 10_001
    assert int(lines[-1]) < 120 << 10, "KiB"
