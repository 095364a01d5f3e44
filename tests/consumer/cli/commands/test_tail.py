"""`tail` as a user runs it."""

import signal
import subprocess
import sys
from pathlib import Path

from tests.support.archive_logs import archive_log, some


def test_a_reader_that_waits_does_not_block_the_writer(directory: Path, tmp_path: Path) -> None:
    """The reader of cloud-init held the lock of the file while its caller worked."""
    searching = subprocess.Popen(
        [sys.executable, "-m", "consumer", "tail", "-f", str(directory)], stdout=subprocess.PIPE
    )
    assert searching.stdout is not None
    assert searching.stdout.readline()
    one = archive_log(directory, instance="two")
    one.append(some(100, 5))
    one.roll("test")
    searching.terminate()
    searching.communicate()


def test_an_interrupted_tail_reports_hidden_events(doubled: Path) -> None:
    command = [sys.executable, "-m", "consumer", "tail", "-f", str(doubled)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        for _ in range(3):
            following.stdout.readline()
        following.send_signal(signal.SIGINT)
        _, reported = following.communicate(timeout=60)
    assert reported == "deedbox: 2 events hidden, which are marked as duplicates; --duplicates show prints them\n"


def test_a_directory_that_does_not_exist_is_reported_also_if_it_is_followed(tmp_path: Path) -> None:
    """A misspelled directory was followed without a word."""
    command = [sys.executable, "-m", "consumer", "tail", "-f", str(tmp_path / "misspelled")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as following:
        assert following.stderr is not None
        assert following.stderr.readline() == f"deedbox: {tmp_path / 'misspelled'}: nothing is there yet\n"
        following.terminate()
