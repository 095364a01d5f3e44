"""A disk that does not answer: the loop continues, and the end does not wait for it."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.errors import Exit
from tests.support import archives
from tests.support.mounts import small_ext4
from tests.support.process import Deedbox
from tests.support.wire import WirePublisher


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_ext4(tmp_path) as mount:
        try:
            yield mount
        finally:
            subprocess.run(["fsfreeze", "-u", mount], check=False, capture_output=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="freezing a file system takes root")
def test_a_disk_that_does_not_answer_holds_up_neither_the_loop_nor_the_end(
    url: str, name: str, publisher: WirePublisher, disk: Path, tmp_path: Path
) -> None:
    arguments = (
        "--url",
        url,
        "--queue",
        name,
        "--exchange",
        name,
        "--set",
        "archive.free_bytes_min=0",
        "--set",
        "service.drain_s=2",
        "--set",
        "service.stats_s=0.2",
    )
    with Deedbox(disk / "archive", *arguments, log=tmp_path / "log") as deedbox:
        deedbox.wait_for("consuming")
        publisher.publish(name.encode(), b"a", b"\0\0", b"first")
        publisher.wait_for_confirms()
        deedbox.wait_until(lambda: archives.count(disk / "archive") == 1, "archived")
        subprocess.run(["fsfreeze", "-f", disk], check=True)
        publisher.publish(name.encode(), b"a", b"\0\0", b"second")
        publisher.wait_for_confirms()
        deedbox.wait_until(lambda: any(line["held"] for line in deedbox.lines("stats")), "the second is held")
        seen = len(deedbox.lines("stats"))
        deedbox.wait_for("stats", seen + 5)  # the loop continues
        assert deedbox.process is not None
        deedbox.process.terminate()
        assert deedbox.wait_for("drain_deadline")["returned"] == 1
        subprocess.run(["fsfreeze", "-u", disk], check=True)  # a thread in the kernel cannot leave before
        assert deedbox.process.wait(30) == Exit.DEADLINE
        deedbox.start()
        deedbox.wait_for("consuming", 2)
        deedbox.wait_until(
            lambda: len({event.body for event in archives.events(disk / "archive")}) == 2, "the second came again"
        )
        assert deedbox.stop() == 0
