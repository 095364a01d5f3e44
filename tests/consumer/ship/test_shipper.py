import threading
from pathlib import Path

import pytest

from consumer.archive.reading.tombstones import Tombstones
from consumer.archive.rewriting.rewrite import Change, rewrite
from consumer.disk.durable import Disk
from consumer.objects.url import ObjectUrl
from consumer.ship import shipper as module
from consumer.ship.destination import Destination, Limits
from consumer.ship.local_files import LocalFile
from consumer.ship.outcome import PassResult
from consumer.ship.pacing import Bandwidth
from consumer.ship.shipper import PASSES_MAX, Shipper
from consumer.ship.upload import Shipped, Uploader
from tests.support.shipping import Reports, holds, local, seal, sealed

LIMITS = Limits(Bandwidth(0))


@pytest.fixture
def there(tmp_path: Path) -> ObjectUrl:
    (tmp_path / "copy").mkdir()
    return ObjectUrl.of_directory(str(tmp_path / "copy"))


@pytest.fixture
def missing(tmp_path: Path) -> ObjectUrl:
    return ObjectUrl.of_directory(str(tmp_path / "not-mounted"))


def test_every_destination_gets_everything(directory: Path, place: ObjectUrl, there: ObjectUrl) -> None:
    seal(directory, 3)
    calls: list[int] = []
    results = Shipper(directory, [place, there], LIMITS, Reports(), lambda: calls.append(1)).once()
    assert {name: result.is_complete for name, result in results.items()} == {str(place): True, str(there): True}
    assert holds(place) == holds(there) == local(directory)
    assert calls == [1]


def test_one_destination_that_does_not_work_does_not_hold_up_the_others(
    directory: Path, place: ObjectUrl, missing: ObjectUrl
) -> None:
    seal(directory, 3)
    made = Shipper(directory, [missing, place], LIMITS, Reports())
    results = made.once()
    assert "does not exist" in results[str(missing)].down
    assert results[str(place)].is_complete
    assert (made.progress[str(missing)].waiting, made.progress[str(place)].waiting) == (0, 0)
    assert made.progress[str(missing)].reason
    assert not made.is_busy


def test_a_failure_that_may_pass_is_tried_again(
    directory: Path, place: ObjectUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = [PassResult(1, 1, 5, {"a": "reason"}, retry=True), PassResult(2, 2, 7)]
    monkeypatch.setattr(Destination, "run_pass", lambda _: passes.pop(0))
    results = Shipper(directory, [place], LIMITS, Reports()).once()
    assert results == {str(place): PassResult(3, 3, 12)}


@pytest.mark.parametrize(("retry", "passes"), [(True, PASSES_MAX), (False, 1)])
def test_the_tries_are_bounded(
    directory: Path, place: ObjectUrl, monkeypatch: pytest.MonkeyPatch, retry: bool, passes: int
) -> None:
    ran: list[int] = []

    def fail(_: Destination) -> PassResult:
        ran.append(1)
        return PassResult(down="reason", retry=retry)

    monkeypatch.setattr(Destination, "run_pass", fail)
    assert not Shipper(directory, [place], LIMITS, Reports()).once()[str(place)].is_complete
    assert len(ran) == passes


def test_a_defect_is_raised_by_once(directory: Path, place: ObjectUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Destination) -> PassResult:
        raise LookupError("a defect")

    monkeypatch.setattr(Destination, "run_pass", fail)
    with pytest.raises(LookupError):
        Shipper(directory, [place], LIMITS, Reports()).once()


def test_it_ships_on_until_it_is_stopped(directory: Path, place: ObjectUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.01)
    seal(directory, 1)
    shipped = threading.Semaphore(0)
    reports = Reports()
    reports.shipped = lambda *_: shipped.release()  # type: ignore[method-assign]
    made = Shipper(directory, [place], LIMITS, reports)
    ended: list[BaseException | None] = []
    made.begin(ended.append)
    assert shipped.acquire(timeout=10)
    seal(directory, 1)
    assert shipped.acquire(timeout=10)
    made.stop()
    assert made.join(10)
    assert ended == [None]
    assert holds(place) == local(directory)


def test_a_defect_of_a_file_is_raised_after_all_others_are_shipped(
    directory: Path, place: ObjectUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = seal(directory, 3)
    real = Uploader.ship

    def ship(self: Uploader, file: LocalFile) -> Shipped:
        if file.path == paths[0]:
            raise LookupError("a defect")
        return real(self, file)

    monkeypatch.setattr(Uploader, "ship", ship)
    with pytest.raises(LookupError):
        Shipper(directory, [place], LIMITS, Reports()).once()
    assert holds(place) == local(directory, *paths[1:])


def test_what_changed_after_the_last_pass_waits(
    directory: Path, place: ObjectUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive that was repacked after it was shipped, and waited for its second shipping, was not counted at the end."""
    (path,) = seal(directory, 1)
    passed = threading.Event()
    real = Destination.run_pass

    def run_pass(one: Destination) -> PassResult:
        result = real(one)
        passed.set()
        return result

    monkeypatch.setattr(Destination, "run_pass", run_pass)
    made = Shipper(directory, [place], LIMITS, Reports())
    made.begin(lambda _: None)
    assert passed.wait(10)
    assert made.progress[str(place)].waiting == 0
    seal(directory, 1)
    rewrite(Disk(), path, Change(Tombstones(), 1 << 20, 12))
    made.stop()
    assert made.join(10)
    figures = made.progress[str(place)]
    assert (figures.waiting, figures.waiting_bytes) == (2, sum(one.stat().st_size for one in sealed(directory)))
