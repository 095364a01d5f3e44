"""`sql` as a user runs it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from consumer.archive.listing import find_archives
from consumer.errors import Exit
from consumer.objects.url import ObjectUrl
from tests.support.archive_logs import archive_log, event, some
from tests.support.command_line import deedbox
from tests.support.copied import copy_to
from tests.support.s3 import S3


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    one = archive_log(tmp_path / "archive")
    for batch in range(5):
        one.append(some(100 * batch, 100))
    one.append([event(1)._replace(duplicate="one-00000001:1")])
    one.roll("test")
    return tmp_path / "archive"


def test_sql_answers_from_the_events_that_pass_the_filters(archive: Path) -> None:
    query = "select type, count(*) as n from events group by 1 order by 1"
    done = deedbox("sql", query, archive, "--until", "2025-11-21T16:15:00.000249Z", "--type", "!type.2")
    assert (done.returncode, done.stdout) == (Exit.OK, '{"type":"type.0","n":84}\n{"type":"type.1","n":83}\n')


def test_sql_hides_duplicates_and_says_so(archive: Path) -> None:
    done = deedbox("sql", "select count(*) from events", archive, "--format", "csv")
    assert (done.returncode, done.stdout) == (Exit.OK, "count_star()\n500\n")
    assert "1 event hidden, which is marked as a duplicate" in done.stderr
    only = deedbox("sql", "select position, duplicate from events", archive, "--duplicates", "only", "--workers", 2)
    assert only.stdout == '{"position":"one-00000001:500","duplicate":"one-00000001:1"}\n'


def test_sql_of_a_damaged_archive_prints_the_answer_of_the_rest(archive: Path) -> None:
    (path,) = find_archives([archive])
    path.chmod(0o600)  # type: ignore[union-attr]
    raw = bytearray(path.read_bytes())  # type: ignore[union-attr]
    raw[raw.find(b"\x28\xb5\x2f\xfd") + 20] ^= 1
    path.write_bytes(raw)  # type: ignore[union-attr]
    done = deedbox("sql", "select count(*) as n from events", archive)
    assert (done.returncode, done.stdout) == (Exit.DAMAGED, '{"n":400}\n')
    assert f"{path}: at " in done.stderr


def test_wrong_sql_has_the_status_of_wrong_usage(archive: Path, tmp_path: Path) -> None:
    done = deedbox("sql", "select nosuch from events", archive)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (Exit.SETTINGS, "", 1)
    assert 'Referenced column "nosuch" not found' in done.stderr
    hostile = deedbox("sql", f"from read_text('{tmp_path}/*')", archive)
    assert (hostile.returncode, hostile.stdout) == (Exit.SETTINGS, "")
    assert "file system operations are disabled" in hostile.stderr


def test_a_directory_without_archives_is_reported(tmp_path: Path) -> None:
    done = deedbox("sql", "select count(*) as n from events", tmp_path)
    assert (done.returncode, done.stdout) == (Exit.OK, '{"n":0}\n')
    assert "no archive is there" in done.stderr


def test_a_path_that_cannot_be_read_has_no_answer(archive: Path, tmp_path: Path) -> None:
    """A script that reads standard output would take it for a count."""
    missing = tmp_path / "missing"
    done = deedbox("sql", "select count(*) as n from events", missing)
    assert (done.returncode, done.stdout) == (Exit.DAMAGED, "")
    assert done.stderr == f"deedbox: {missing}: No such file or directory\n"
    both = deedbox("sql", "select count(*) as n from events", missing, archive)
    assert (both.returncode, both.stdout) == (Exit.DAMAGED, '{"n":500}\n')
    assert done.stderr in both.stderr


def is_computing(pid: int) -> bool:
    """Whether the threads of DuckDB and of the query run, and both workers wait for work."""
    tasks = list(Path(f"/proc/{pid}/task").iterdir())
    try:
        workers = [child for task in tasks for child in (task / "children").read_text().split()]
        states = [Path(f"/proc/{child}/stat").read_text().rpartition(") ")[2][0] for child in workers]
    except FileNotFoundError:
        return False  # a thread has just ended
    return len(tasks) >= 4 and states == ["S", "S"]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_sql_and_its_workers_at_once(archive: Path, tmp_path: Path, sign: signal.Signals) -> None:
    """Also when the terminal is closed, nothing is left in the directory for temporary files."""
    query = "select count(*) from events, range(100000000000) t(a) where hash(a) % 7 = 1"
    command = [sys.executable, "-m", "consumer", "sql", query, str(archive), "--workers", "2"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, start_new_session=True, env=environment,
        preexec_fn=lambda: signal.signal(sign, signal.SIG_DFL),  # a process in the background may ignore it
    )  # fmt: skip
    try:
        while not is_computing(process.pid):
            assert process.poll() is None
        os.killpg(process.pid, sign)  # as a terminal does
        _, shown = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 128 + sign
    assert b"Traceback" not in shown
    assert list(tmp_path.glob("deedbox-sql-*")) == []


def test_the_output_is_streamed_to_a_reader_that_stops(archive: Path) -> None:
    query = "select a.id from events a, range(100000000) t(n)"
    done = subprocess.run(
        f'{sys.executable} -m consumer sql "{query}" {archive} | head -1',
        shell=True, check=True, capture_output=True, text=True, timeout=50,
    )  # fmt: skip
    assert done.stdout.startswith('{"id":"id-')
    assert done.stderr == ""


def test_sql_reads_archives_in_object_storage(
    archive: Path, bucket: ObjectUrl, seaweedfs: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_to(archive, bucket / "kept")
    for name, value in seaweedfs.environ().items():
        monkeypatch.setenv(name, value)
    query = (
        "select count(*) as n, count(distinct text) as texts from events where time >= '2025-11-21T16:15:00.000100Z'"
    )
    for workers in (0, 2):
        done = deedbox("sql", query, bucket / "kept", "--workers", workers)
        assert (done.returncode, done.stdout) == (Exit.OK, '{"n":400,"texts":400}\n'), done.stderr
