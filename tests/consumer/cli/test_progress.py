import io
import sys

import pytest

from consumer.cli.progress import progress


def test_a_pipe_gets_no_progress_bar(capfd: pytest.CaptureFixture[str]) -> None:
    with progress("reading", 100) as advance:
        advance(100)
    assert capfd.readouterr() == ("", "")


def test_a_terminal_gets_a_progress_bar_that_disappears(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    before = sys.stdout
    with progress("reading", 100, lines=True) as advance:
        assert sys.stdout is before, "what is printed would go to the terminal and not into the file it was sent to"
        advance(60)
    assert "reading" in screen.getvalue()
    screen.truncate(0)
    monkeypatch.setattr(sys, "stdout", Terminal())
    with progress("reading", 100, lines=True) as advance:
        advance(60)
    assert screen.getvalue().strip("\0") == ""
