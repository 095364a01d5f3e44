"""A lock file that is removed under a running service, and a second service that then gets the same instance."""

import signal
from pathlib import Path

from consumer.archive.checking.verify import verify
from consumer.errors import Exit
from tests.support import archives
from tests.support.process import Deedbox
from tests.support.wire import WirePublisher


def test_two_services_of_one_instance_never_write_two_archives_of_one_number(
    url: str, name: str, publisher: WirePublisher, tmp_path: Path
) -> None:
    directory = tmp_path / "archive"
    arguments = ("--url", url, "--queue", name, "--exchange", name, "--instance", "one")
    first = Deedbox(directory, *arguments, log=tmp_path / "first.log")
    second = Deedbox(directory, *arguments, log=tmp_path / "second.log")

    def publish(count: int) -> None:
        for number in range(count):
            publisher.publish(name.encode(), b"a", b"\0\0", b"%d" % number)
        publisher.wait_for_confirms()

    with first:
        first.wait_for("consuming")
        publish(10)
        first.wait_until(lambda: archives.count(directory) == 10, "archived")
        (directory / "one.lock").unlink()
        with second:
            second.wait_for("consuming")
            assert first.process is not None
            first.process.send_signal(signal.SIGHUP)
            first.wait_for("archive_sealed")
            publish(10)
            assert first.process.wait(30) == Exit.INSTANCE
            second.wait_until(lambda: archives.count(directory) == 20, "the second archives what the first returned")
            assert second.stop() == 0
    assert [verdict.faults for verdict in verify([directory])] == [[], []]
