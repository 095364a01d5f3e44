"""Colors of the log and of help."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from consumer.errors import Exit


def output_of_run(tmp_path: Path, terminal: bool, **variables: str) -> bytes:
    """What `run` prints if its archive directory is a file."""
    (tmp_path / "file").write_bytes(b"")
    command = [sys.executable, "-m", "consumer", "run", "--queue", "x", "--dir", "file"]
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    environment |= {"TERM": "xterm-256color", "PYTHONPATH": str(Path.cwd())} | variables
    own, theirs = pty.openpty() if terminal else os.pipe()
    done = subprocess.run(
        [*command, "--set", "service.log=console"], check=False, cwd=tmp_path, env=environment, stdout=theirs
    )
    os.close(theirs)
    shown = os.read(own, 1 << 16)
    os.close(own)
    assert done.returncode == Exit.DIRECTORY
    return shown


def test_the_log_has_colors_on_a_terminal_only(tmp_path: Path) -> None:
    assert b"\x1b[" in output_of_run(tmp_path, terminal=True)
    piped = output_of_run(tmp_path, terminal=False)
    assert b"failed" in piped
    assert b"\x1b[" not in piped


def test_no_color_is_respected(tmp_path: Path) -> None:
    shown = output_of_run(tmp_path, terminal=True, NO_COLOR="1")
    assert b"failed" in shown
    assert b"\x1b[" not in shown


@pytest.mark.parametrize("command", ["", "search"])
def test_help_has_no_color_if_no_color_is_set_or_the_output_is_a_pipe(command: str) -> None:
    arguments = [sys.executable, "-m", "consumer", *command.split(), "--help"]
    own, theirs = pty.openpty()
    subprocess.run(arguments, check=True, stdout=theirs, env={**os.environ, "TERM": "xterm-256color", "NO_COLOR": "1"})
    os.close(theirs)
    shown = os.read(own, 1 << 16)
    os.close(own)
    assert b"\x1b[3" not in shown
    assert b"\x1b[9" not in shown
    piped = subprocess.run(arguments, check=True, capture_output=True)
    assert b"\x1b" not in piped.stdout
