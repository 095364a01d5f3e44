"""An exception that no part of Deedbox expects, on the writer thread: the process ends, and the messages are returned."""

from pathlib import Path

from consumer.errors import Exit
from tests.support import archives
from tests.support.altered import DEFECT
from tests.support.process import Deedbox
from tests.support.wire import WirePublisher


def test_an_unexpected_exception_on_the_writer_thread_ends_the_process_with_a_status_of_its_own(
    url: str, name: str, publisher: WirePublisher, tmp_path: Path
) -> None:
    arguments = ("--url", url, "--queue", name, "--exchange", name)
    directory = tmp_path / "archive"
    with Deedbox(directory, *arguments, altered="defect") as deedbox:
        deedbox.wait_for("consuming")
        publisher.publish(name.encode(), b"a", b"\0\0", b"before")
        publisher.wait_for_confirms()
        deedbox.wait_until(lambda: archives.count(directory) == 1, "archived")
        publisher.publish(name.encode(), b"a", b"\0\0", DEFECT)
        publisher.wait_for_confirms()
        assert deedbox.process is not None
        assert deedbox.process.wait(30) == Exit.WRITER
        (failed,) = deedbox.lines("failed")
        assert "a defect of the encoder" in str(failed["reason"])
        assert deedbox.lines()[-1]["event"] == "failed"
        assert len(deedbox.lines("consuming")) == 1
        assert "Traceback" in deedbox.log.read_text()
    with Deedbox(directory, *arguments) as repaired:
        repaired.wait_until(lambda: archives.count(directory) == 2, "the message came again")
        assert repaired.stop() == 0
    assert [event.body for event in archives.events(directory)] == [b"before", DEFECT]
