"""The order write, fdatasync, ack as the kernel sees it."""

import re
import shutil
from pathlib import Path

import pytest

from tests.support import archives
from tests.support.process import Deedbox
from tests.support.wire import WirePublisher

STRACE = shutil.which("strace")
ARCHIVE = r"\x5d\x2a\x4d\x18"  # every part of an archive begins so
ACK = r"\x00\x3c\x00\x50"  # class basic, method ack


def steps(trace: str) -> list[str]:
    """What happened, in the order of completion for writes and syncs, and of the beginning for acks."""
    found: list[str] = []
    writing: dict[str, bool] = {}
    for line in trace.splitlines():
        thread, _, call = line.partition(" ")
        call = call.strip()
        if call.startswith("write(") and ARCHIVE in call.partition(",")[2][:40]:
            writing[thread] = True
            if "<unfinished" not in call:
                found.append("write")
        elif call.startswith("<... write resumed") and writing.pop(thread, False):
            found.append("write")
        elif re.match(r"(fdatasync\(.*|<\.\.\. fdatasync resumed.*)= 0$", call):
            found.append("fdatasync")
        elif re.match(r"(fsync\(.*|<\.\.\. fsync resumed.*)= 0$", call):
            found.append("fsync")
        elif call.startswith("sendto(") and ACK in call:
            found.append("ack")
    return found


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
def test_every_ack_follows_a_sync_that_follows_the_write(
    url: str, name: str, publisher: WirePublisher, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    wrap = (str(STRACE), "-D", "-f", "-xx", "-s", "48", "-o", str(trace), "-e", "trace=write,fdatasync,fsync,sendto")
    arguments = ("--url", url, "--queue", name, "--exchange", name, "--set", "batch.count=50")
    with Deedbox(tmp_path / "archive", *arguments, wrap=wrap) as deedbox:
        deedbox.wait_for("consuming")
        for n in range(1000):
            publisher.publish(name.encode(), b"a", b"\0\0", b"%d" % n)
        publisher.wait_for_confirms()
        deedbox.wait_until(lambda: archives.count(tmp_path / "archive") == 1000, "all archived")
        assert deedbox.stop() == 0
    found = steps(trace.read_text())
    acks = [index for index, step in enumerate(found) if step == "ack"]
    assert len(acks) >= 20
    for number, ack in enumerate(acks):
        # The connection gets an ack, and may send it while the next batch is being written already.
        assert commits(found[:ack]) > number, f"ack {number} was sent after {commits(found[:ack])} commits"
    first = found[: acks[0]]
    assert "fsync" in first[first.index("write") :], "the directory of the new file was not synced before the first ack"


def commits(found: list[str]) -> int:
    """How many writes were followed by a sync."""
    done, written = 0, False
    for step in found:
        if step == "write":
            written = True
        elif step == "fdatasync" and written:
            done, written = done + 1, False
    return done
