import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import deedbox
from consumer.archive.digests.making import make_due
from consumer.archive.naming import parse_sealed
from consumer.archive.reading.reader import ArchiveFile
from consumer.archive.reading.tombstones import add_tombstones, remove_tombstones
from consumer.disk.durable import Disk
from consumer.objects.errors import AccessDenied, ObjectError, PermissionNeeded, Unavailable
from consumer.objects.url import ObjectUrl
from consumer.ship.destination import LOOK_S, SIDES_S
from consumer.ship.health import DENIED_MAX, FAILURES_MAX
from consumer.ship.local_files import Listing, find_files
from consumer.ship.pacing import PAUSE_S_MAX
from consumer.ship.target import Target, target_of
from consumer.ship.upload import TRIES_MAX
from tests.support.shipping import Clock, Reports, Store, destination, holds, local, seal

NOW_US = 1_800_000_000_000_000
HOUR_US = 3_600_000_000


class Failing(Store):
    """A storage whose puts fail: `failing` has the names, or None for all. `error`: what it raises."""

    def __init__(self, url: ObjectUrl, error: type[ObjectError] = Unavailable) -> None:
        super().__init__(url)
        self.failing: set[str] | None = None
        self.error, self.puts = error, 0

    def put_stream(self, url, chunks, size, attributes, only_new=False) -> None:
        self.puts += 1
        if self.failing is None or url.name in self.failing:
            raise self.error(url, "the storage answers with status 503")
        self.real.put_stream(url, chunks, size, attributes, only_new)


def test_everything_is_shipped_once(directory: Path, place: ObjectUrl) -> None:
    paths = seal(directory, 5)
    side = paths[0].parent / f"{parse_sealed(paths[0])}.deleted"
    side.write_text("")
    made = make_due(Disk(), directory, NOW_US, HOUR_US)
    reports = Reports()
    shipper = destination(directory, place, reports)
    result = shipper.run_pass()
    assert (result.is_complete, result.shipped, result.verified) == (True, 6, 7)  # an empty file has no bytes to send
    assert holds(place) == local(directory, *paths, side, *made)
    assert reports.bytes == sum(path.stat().st_size for path in [*paths, side, *made])
    assert shipper.run_pass().verified == 0
    assert (shipper.progress.waiting, shipper.progress.waiting_bytes) == (0, 0)
    again = destination(directory, place).run_pass()
    assert (again.is_complete, again.shipped, again.verified) == (True, 0, 7)


def test_a_deleted_event_is_never_visible_at_the_destination(directory: Path, place: ObjectUrl) -> None:
    paths = seal(directory, 2)
    for path in paths:
        (path.parent / f"{parse_sealed(path)}.deleted").write_text("x\n")
    reports = Reports()
    destination(directory, place, reports).run_pass()
    assert [name.rpartition(".")[2] for kind, name, _ in reports.lines] == ["deleted", "deleted", "zst", "zst"]


def test_one_file_that_fails_does_not_hold_up_the_others(directory: Path, place: ObjectUrl) -> None:
    paths = seal(directory, 6)
    reports = Reports()
    store = Failing(place)
    store.failing = {paths[0].name}
    made = destination(directory, Target(store, place), reports, uploads=1)
    result = made.run_pass()
    assert (result.shipped, list(result.problems)) == (5, [f"20251121/{paths[0].name}"])
    assert result.retry
    assert not result.down
    assert reports.kinds().count("failed") == 1


def test_a_destination_that_does_not_work_ends_the_pass(directory: Path, place: ObjectUrl) -> None:
    seal(directory, 10)
    reports = Reports()
    store = Failing(place)
    made = destination(directory, Target(store, place), reports, uploads=1)
    result = made.run_pass()
    assert store.puts == FAILURES_MAX
    assert "503" in result.down
    assert reports.kinds() == ["failed"] * FAILURES_MAX + ["down"]
    assert made.backoff.failures == 1
    store.failing = set()
    made.run_pass()
    assert reports.kinds()[-1] == "works"
    assert made.backoff.failures == 0


def test_credentials_that_permit_no_put_end_the_pass(directory: Path, place: ObjectUrl) -> None:
    seal(directory, DENIED_MAX + 2)
    store, reports = Failing(place, AccessDenied), Reports()
    result = destination(directory, Target(store, place), reports, uploads=1).run_pass()
    assert store.puts == DENIED_MAX
    assert (bool(result.down), result.retry) == (True, False)
    assert reports.kinds()[-1] == "down"


def test_wrong_credentials_end_the_pass_at_the_listing(directory: Path, place: ObjectUrl) -> None:
    seal(directory, 2)
    result = destination(directory, Target(BadListing(place, AccessDenied), place)).run_pass()
    assert (bool(result.down), result.retry, holds(place)) == (True, False, {})


class BadListing(Store):
    """A storage whose listing fails."""

    def __init__(self, url: ObjectUrl, error: type[ObjectError]) -> None:
        super().__init__(url)
        self.error = error

    def list(self, below: ObjectUrl) -> object:
        raise self.error(below, "object with invalid path")


def test_a_listing_that_fails_does_not_stop_shipping(directory: Path, place: ObjectUrl) -> None:
    """A key with an empty part, of another program, was an error of the whole listing for ever."""
    seal(directory, 2)
    destination(directory, place).run_pass()
    paths = seal(directory, 2)
    made = make_due(Disk(), directory, NOW_US, HOUR_US)
    reports = Reports()
    shipper = destination(directory, Target(BadListing(place, ObjectError), place), reports)
    result = shipper.run_pass()
    assert (result.is_complete, result.shipped, result.verified) == (True, 3, 5)
    assert holds(place) == local(directory, *paths, *made)
    assert [kind for kind in reports.kinds() if kind != "shipped"] == ["failed"]
    assert shipper.run_pass().verified == 0


class Denying(Store):
    """A storage that does not permit any request for some keys."""

    def __init__(self, url: ObjectUrl, *denied: str) -> None:
        super().__init__(url)
        self.denied = set(denied)

    def head(self, url: ObjectUrl) -> object:
        if url.name in self.denied:
            raise PermissionNeeded(url, "access denied (403)")
        return self.real.head(url)


def test_one_object_that_is_denied_does_not_keep_the_others_from_being_shipped(
    directory: Path, place: ObjectUrl
) -> None:
    """It was the fault of the whole destination, and the first to be asked for in each pass."""
    paths = seal(directory, 4)
    destination(directory, place).run_pass()
    seal(directory, 3)
    reports, clock = Reports(), Clock()
    made = destination(directory, Target(Denying(place, paths[0].name), place), reports, clock=clock)
    result = made.run_pass()
    assert (result.shipped, list(result.problems), result.down) == (3, [f"20251121/{paths[0].name}"], "")
    assert not result.retry
    for _ in range(5):
        clock.now += PAUSE_S_MAX
        assert len(made.run_pass().problems) == 1
    assert set(reports.kinds()) == {"shipped", "failed"}


def test_many_objects_that_are_denied_do_not_keep_the_others_from_being_shipped(
    directory: Path, place: ObjectUrl
) -> None:
    paths = seal(directory, DENIED_MAX * 2)
    destination(directory, place).run_pass()
    seal(directory, 1)
    made = destination(directory, Target(Denying(place, *(path.name for path in paths)), place))
    result = made.run_pass()
    assert (result.shipped, result.down) == (1, "")


@pytest.mark.parametrize("uploads", [1, 3])
def test_a_defect_concerns_one_file(directory: Path, place: ObjectUrl, uploads: int) -> None:
    """An attribute that was not UTF-8 ended the service."""
    paths = seal(directory, 4)

    class Odd(Failing):
        def put_stream(self, url, chunks, size, attributes, only_new=False) -> None:
            if url.name in (self.failing or ()):
                raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
            self.real.put_stream(url, chunks, size, attributes, only_new)

    store, reports, clock = Odd(place), Reports(), Clock()
    store.failing = {paths[0].name}
    made = destination(directory, Target(store, place), reports, clock=clock, uploads=uploads)
    result = made.run_pass()
    assert (result.shipped, list(result.problems)) == (3, [f"20251121/{paths[0].name}"])
    assert isinstance(result.defect, UnicodeDecodeError)
    (defect,) = (line for line in reports.lines if line[0] == "defect")
    assert defect[2].startswith("UnicodeDecodeError: ")
    assert made.run_pass().problems
    assert reports.kinds().count("defect") == 1  # it waits
    store.failing = set()
    clock.now += PAUSE_S_MAX
    assert made.run_pass().is_complete


def test_a_deletion_does_not_wait_for_the_end_of_a_long_pass(directory: Path, place: ObjectUrl) -> None:
    paths = seal(directory, 1)
    destination(directory, place).run_pass()
    seal(directory, 3)
    clock = Clock()

    def act() -> None:
        delete(paths[0], 1)
        clock.now += SIDES_S

    reports = Reports()
    made = destination(directory, Target(Deleting(place, act), place), reports, clock=clock, uploads=1)
    made.run_pass()
    assert (made.progress.waiting, made.progress.waiting_bytes) == (0, 0)  # the late deletion was subtracted twice
    assert [name.rpartition(".")[2] for kind, name, _ in reports.lines if kind == "shipped"] == [
        "zst", "deleted", "zst", "zst"
    ]  # fmt: skip


def test_a_side_file_that_is_removed_during_a_pass_does_not_end_it(
    directory: Path, place: ObjectUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = seal(directory, 1)
    delete(paths[0], 1)
    destination(directory, place).run_pass()
    seal(directory, 3)
    clock = Clock()

    def listed(path: Path) -> Listing:
        found = find_files(path)
        if clock.now > 1000:  # policy removes it just after it was listed
            for side in directory.rglob("*.deleted"):
                side.unlink()
        return found

    def act() -> None:
        clock.now += SIDES_S

    monkeypatch.setattr("consumer.ship.destination.find_files", listed)
    made = destination(directory, Target(Deleting(place, act), place), clock=clock, uploads=1)
    assert made.run_pass().is_complete
    assert len([name for name in holds(place) if name.endswith(".zst")]) == 4


def test_an_archive_behind_a_broken_link_is_a_problem(directory: Path, place: ObjectUrl) -> None:
    path = seal(directory, 2)[0]
    path.unlink()
    path.symlink_to(directory / "not mounted" / path.name)
    reports = Reports()
    result = destination(directory, place, reports).run_pass()
    assert set(result.problems) == {str(path)}
    assert reports.kinds() == ["failed", "shipped"]


def test_a_line_that_another_shipper_of_the_directory_puts_meanwhile_stays(directory: Path, place: ObjectUrl) -> None:
    """The first shipper has read the object and the file; then an event is deleted, and another one ships that."""
    paths = seal(directory, 1)
    delete(paths[0], 0)
    destination(directory, place).run_pass()
    delete(paths[0], 1)
    seen_by_second = []

    class Slow(Store):
        def put_stream(self, url, chunks, size, attributes, only_new=False) -> None:
            whole = list(chunks)
            if not seen_by_second:
                delete(paths[0], 2)
                destination(directory, place).run_pass()
                seen_by_second.append(seen(place))
            self.real.put_stream(url, whole, size, attributes, only_new)

    assert destination(directory, Target(Slow(place), place)).run_pass().is_complete
    assert [*seen_by_second, seen(place)] == [1, 1]


def test_a_file_that_has_failed_comes_last(directory: Path, place: ObjectUrl) -> None:
    paths = seal(directory, 4)
    store, clock = Failing(place), Clock()
    made = destination(directory, Target(store, place), clock=clock, uploads=1)
    store.failing = {paths[0].name, paths[1].name}
    made.run_pass()
    clock.now += PAUSE_S_MAX
    store.failing = None
    store.puts = 0
    seal(directory, 1)
    assert next(iter(made.run_pass().problems)).endswith("-one-00000005.kvp.zst")


def test_deletions_go_beside_a_refused_object_and_acknowledgements_do_not(directory: Path, place: ObjectUrl) -> None:
    """A repair with loss makes an archive that never replaces its object. A deletion must hide the event there nevertheless."""
    paths = seal(directory, 2)
    for path, suffix in ((path, suffix) for path in paths for suffix in ("deleted", "acknowledged")):
        (path.parent / f"{parse_sealed(path)}.{suffix}").write_text("{}\n")
    target_of(place).store.put(place / f"20251121/{paths[0].name}", b"other", {})
    reports = Reports()
    result = destination(directory, place, reports).run_pass()
    assert not result.is_complete
    assert not result.retry
    assert [kind for kind in reports.kinds() if kind != "shipped"] == ["refused"]
    one, two = (f"20251121/{parse_sealed(path)}" for path in paths)
    sides = {name for name in holds(place) if not name.endswith(".zst")}
    assert sides == {f"{one}.deleted", f"{two}.deleted", f"{two}.acknowledged"}


def delete(path: Path, *events: int) -> None:
    with ArchiveFile(path) as archive:
        add_tombstones(Disk(), archive, events, "x", "2026-11-21T00:00:00.000000Z")


def seen(place: ObjectUrl | Path) -> int:
    """How many events a reader of a place sees."""
    return sum(1 for _ in deedbox.open(str(place)).search())


def test_an_archive_whose_deletions_cannot_be_put_is_not_put(directory: Path, place: ObjectUrl) -> None:
    paths = seal(directory, 3)
    delete(paths[0], 1)
    side = f"{parse_sealed(paths[0])}.deleted"
    store, clock = Failing(place), Clock()
    store.failing = {side}
    made = destination(directory, Target(store, place), clock=clock)
    result = made.run_pass()
    assert set(result.problems) == {f"20251121/{side}", f"20251121/{paths[0].name}"}
    assert result.retry
    assert seen(place) == 8
    store.failing = set()
    clock.now += PAUSE_S_MAX
    assert made.run_pass().is_complete
    assert seen(place) == seen(directory) == 11


def test_an_event_that_is_deleted_during_a_pass_is_never_visible_at_the_destination(
    directory: Path, place: ObjectUrl
) -> None:
    """The side files were listed once at the begin of a pass, which lasts hours on a slow line."""
    paths = seal(directory, 3)
    store = Deleting(place, lambda: delete(paths[2], 1))
    assert destination(directory, Target(store, place), uploads=1).run_pass().is_complete
    assert seen(place) == 11


def test_an_older_copy_of_the_directory_brings_no_deleted_event_back(
    directory: Path, place: ObjectUrl, tmp_path: Path
) -> None:
    (path,) = seal(directory, 1)
    delete(path, 0)
    older = tmp_path / "older"
    shutil.copytree(directory, older)
    delete(path, 1, 2)
    assert destination(directory, place).run_pass().is_complete
    assert destination(older, place).run_pass().is_complete
    assert seen(place) == seen(directory) == 1
    again = destination(directory, place).run_pass()
    assert (again.is_complete, again.shipped) == (True, 0)


def test_undelete_reaches_the_destination(directory: Path, place: ObjectUrl, tmp_path: Path) -> None:
    (path,) = seal(directory, 1)
    delete(path, 0, 1)
    older = tmp_path / "older"
    shutil.copytree(directory, older)
    destination(directory, place).run_pass()
    with ArchiveFile(path) as archive:
        remove_tombstones(Disk(), archive, lambda: [1])
    for one in (directory, older):
        assert destination(one, place).run_pass().is_complete
        assert seen(place) == 3


def test_an_archive_in_which_events_are_deleted_again_and_again_is_a_failure(directory: Path, place: ObjectUrl) -> None:
    """It was tried again for ever, and no line said why it was not shipped."""
    (path,) = seal(directory, 1, events=TRIES_MAX + 1)
    serials = iter(range(TRIES_MAX))

    class Busy(Store):
        def put_stream(self, url, chunks, size, attributes, only_new=False) -> None:
            if url.name == path.name:
                delete(path, next(serials))
            self.real.put_stream(url, chunks, size, attributes, only_new)

    reports = Reports()
    result = destination(directory, Target(Busy(place), place), reports).run_pass()
    (failed,) = (line for line in reports.lines if line[0] == "failed")
    assert failed[1] == f"20251121/{path.name}"
    assert "events were deleted while it was sent" in failed[2]
    assert (list(result.problems), result.retry) == ([failed[1]], True)


class Deleting(Store):
    """Calls a function before the first put."""

    def __init__(self, url: ObjectUrl, act: Callable[[], None]) -> None:
        super().__init__(url)
        self.act: Callable[[], None] | None = act

    def put_stream(self, url, chunks, size, attributes, only_new=False) -> None:
        if (act := self.act) is not None:
            self.act = None
            act()
        self.real.put_stream(url, chunks, size, attributes, only_new)


def test_a_digest_never_advances_past_a_failed_upload(directory: Path, place: ObjectUrl) -> None:
    """amazon-mq/rabbitmq-stream-s3#210: the manifest advanced past a failed upload, and the local copy was freed."""
    paths = seal(directory, 3)
    first = make_due(Disk(), directory, NOW_US, HOUR_US)
    seal(directory, 1)
    second = make_due(Disk(), directory, NOW_US + 2 * HOUR_US, HOUR_US)
    store, clock = Failing(place), Clock()
    made = destination(directory, Target(store, place), clock=clock, uploads=1)
    store.failing = {paths[1].name}
    result = made.run_pass()
    assert len(holds(place)) == 3  # no digest, not even the second one, all of whose archives are there
    assert f"digests/one/{first[0].name}" in result.problems
    store.failing = set()
    clock.now += PAUSE_S_MAX
    assert made.run_pass().is_complete
    assert set(holds(place)) >= {f"digests/one/{path.name}" for path in [*first, *second]}


def test_a_digest_that_lists_a_lost_archive_is_held(directory: Path, place: ObjectUrl) -> None:
    paths = seal(directory, 2)
    make_due(Disk(), directory, NOW_US, HOUR_US)
    paths[0].unlink()
    reports = Reports()
    result = destination(directory, place, reports).run_pass()
    assert not result.is_complete
    assert "held" in reports.kinds()


def test_an_object_that_was_removed_at_the_destination_is_shipped_again(directory: Path, place: ObjectUrl) -> None:
    paths = seal(directory, 3)
    reports = Reports()
    made = destination(directory, place, reports, look_s=0.0)
    made.run_pass()
    target_of(place).store.delete(place / f"20251121/{paths[1].name}")
    assert made.run_pass().shipped == 1
    assert ("missing", f"20251121/{paths[1].name}", "the object was removed") in reports.lines
    assert holds(place) == local(directory)


def test_an_object_that_was_replaced_at_the_destination_is_refused(directory: Path, place: ObjectUrl) -> None:
    paths = seal(directory, 2)
    reports = Reports()
    made = destination(directory, place, reports, look_s=0.0)
    made.run_pass()
    target_of(place).store.put(place / f"20251121/{paths[1].name}", b"other", {})
    result = made.run_pass()
    assert list(result.problems) == [f"20251121/{paths[1].name}"]
    assert [kind for kind in reports.kinds() if kind != "shipped"] == ["missing", "refused"]


def test_the_destination_is_listed_once_until_the_next_look(directory: Path, place: ObjectUrl) -> None:
    seal(directory, 2)
    store, clock = Counting(place), Clock()
    made = destination(directory, Target(store, place), clock=clock)
    for after_s in (0.0, LOOK_S - 1, 1.0, 1.0):
        clock.now += after_s
        assert made.run_pass().is_complete
    assert store.lists == 2


class Counting(Store):
    """Counts the listings."""

    lists = 0

    def list(self, below: ObjectUrl) -> object:
        self.lists += 1
        return self.real.list(below)


def test_an_archive_that_is_sealed_later_is_shipped_later(directory: Path, place: ObjectUrl) -> None:
    seal(directory, 1)
    made = destination(directory, place)
    made.run_pass()
    seal(directory, 2)
    assert made.run_pass().shipped == 2
    assert holds(place) == local(directory)


def test_nothing_is_begun_after_the_stop(directory: Path, place: ObjectUrl) -> None:
    seal(directory, 3)
    stop = threading.Event()
    stop.set()
    result = destination(directory, place, stop=stop).run_pass()
    assert (result.stopped, result.shipped) == (True, 0)


def test_a_name_that_is_not_utf_8_is_refused(directory: Path, place: ObjectUrl) -> None:
    (path,) = seal(directory, 1)
    path.parent.rename(path.parent.parent / "\udcff")
    result = destination(directory, place).run_pass()
    assert ["not UTF-8" in reason for reason in result.problems.values()] == [True]


def test_a_directory_that_cannot_be_read_is_a_problem(
    directory: Path, place: ObjectUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal(directory, 1)

    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied", str(directory))

    reports = Reports()
    monkeypatch.setattr("consumer.ship.destination.find_files", refuse)
    assert destination(directory, place, reports).run_pass().problems == {str(directory): "Permission denied"}
    assert reports.kinds() == ["failed"]
