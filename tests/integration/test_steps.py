"""Steps on seal and retention in the service, with a real broker and real kills."""

from pathlib import Path

from consumer.archive.checking.verify import verify
from tests.support import archives
from tests.support.process import Deedbox
from tests.support.wire import WirePublisher

MESSAGES = 120


def publish(publisher: WirePublisher, name: str, first: int, count: int) -> None:
    for number in range(first, first + count):
        publisher.publish(name.encode(), b"a", b"\0\0", b"%d" % number)
    publisher.wait_for_confirms()


def archived(directory: Path) -> set[int]:
    """The numbers of the archived messages; none if an archive was moved while they were read."""
    try:
        return {int(event.body) for event in archives.events(directory)}
    except FileNotFoundError:
        return set()


def test_steps_of_the_service_run_for_every_archive_and_survive_a_kill(
    url: str, name: str, publisher: WirePublisher, tmp_path: Path
) -> None:
    notes, moved = tmp_path / "notes", tmp_path / "moved"
    steps = f"link {tmp_path}/linked,run sh -c 'echo $DEEDBOX_ARCHIVE_ID >> {notes}',move {moved}"
    arguments = ("--url", url, "--queue", name, "--exchange", name, "--instance", "one", "--set", "roll.events=10")
    with Deedbox(
        tmp_path / "archive", *arguments, "--set", "batch.count=10", "--set", f"seal.steps={steps}"
    ) as deedbox:
        deedbox.wait_for("consuming")
        publish(publisher, name, 0, MESSAGES // 2)
        deedbox.wait_until(lambda: bool(deedbox.lines("step_done")), "a step is done")
        deedbox.kill()
        deedbox.start()
        deedbox.wait_for("consuming", 2)
        publish(publisher, name, MESSAGES // 2, MESSAGES // 2)
        deedbox.wait_until(lambda: archived(tmp_path) == set(range(MESSAGES)), "all archived")
        deedbox.wait_until(
            lambda: len(list(moved.glob("*.zst"))) >= 5 and len(list((tmp_path / "archive").rglob("*.zst"))) == 1,
            "all archives but the newest are moved",
        )
        assert deedbox.stop() == 0
    events = [event for place in (moved, tmp_path / "archive") for event in archives.unmarked(place)]
    assert sorted(int(event.body) for event in events) == list(range(MESSAGES))
    names = {path.name for place in (moved, tmp_path / "archive") for path in place.rglob("*.zst")}
    assert {path.name for path in (tmp_path / "linked").glob("*.zst")} <= names
    assert len(set(notes.read_text().split())) >= 5
    assert [fault for verdict in verify([moved]) for fault in verdict.faults] == []


def test_the_service_applies_retention(url: str, name: str, publisher: WirePublisher, tmp_path: Path) -> None:
    arguments = ("--url", url, "--queue", name, "--exchange", name, "--instance", "one", "--set", "roll.events=10")
    limits = ("--set", "batch.count=10", "--set", "retain.count=2", "--set", "retain.every_s=1")
    with Deedbox(tmp_path / "archive", *arguments, *limits) as deedbox:
        deedbox.wait_for("consuming")
        publish(publisher, name, 0, MESSAGES)
        directory = tmp_path / "archive"
        deedbox.wait_until(
            lambda: len(deedbox.lines("archive_removed")) >= 5 and len(list(directory.rglob("*.zst"))) == 2, "removed"
        )
        assert deedbox.stop() == 0
    assert [fault for verdict in verify([directory]) for fault in verdict.faults] == []
