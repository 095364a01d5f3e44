from pathlib import Path

import pytest

from consumer.archive import naming
from consumer.archive.reading.reader import events_or_none, open_archive
from consumer.archive.writing import unsettled
from consumer.archive.writing.archive_log import ArchiveLog
from consumer.archive.writing.unsettled import AGE_US, EventPlace, Plan, plan
from tests.support.archive_logs import archive_log, some

WINDOW = 100  # of the archive_logs in tests


class Generations:
    """A archive_log that notes the begin of each generation."""

    def __init__(self, directory: Path) -> None:
        self.archive_log: ArchiveLog = archive_log(directory)
        self.begins: list[EventPlace] = []

    def archive(self, first: int, count: int, later_us: int = 0, step: int = 10) -> None:
        for serial in range(first, first + count, step):
            batch = some(serial, min(step, first + count - serial))
            self.archive_log.append([event._replace(arrived_us=event.arrived_us + later_us) for event in batch])

    def begin(self) -> None:
        self.begins.append(self.archive_log.own().begins[-1])

    def plan(self, **bounds: int) -> Plan:
        names = self.archive_log.settings.layout.directory.rglob("*.kvp.zst*")
        found = {path: naming.parse_open(path) or naming.parse_sealed(path) for path in names}
        paths = {archive.sequence: path for path, archive in found.items() if archive is not None}
        return plan(paths, tuple(self.begins), lambda _: None, **bounds)


def serials(found: Plan) -> list[int]:
    """The events of the plan, oldest first."""
    all_of = []
    for file_range in reversed(found.ranges):
        with open_archive(file_range.path) as archive:
            all_of += [event for batch in file_range.batches for event in events_or_none(archive, batch)]
    return [int(event.id.removeprefix("id-")) for event in all_of]


@pytest.fixture
def generations(tmp_path: Path) -> Generations:
    return Generations(tmp_path)


@pytest.mark.parametrize("sealed", [False, True], ids=["one archive", "an archive each"])
def test_the_last_window_of_each_generation_may_come_again(generations: Generations, sealed: bool) -> None:
    for number in range(3):
        generations.begin()
        generations.archive(number * 1000, 150)
        if sealed:
            generations.archive_log.roll("stop")
    found = generations.plan()
    assert serials(found) == [number * 1000 + serial for number in range(3) for serial in range(50, 150)]
    assert found.begins == tuple(generations.begins[1:])


def test_the_window_of_a_generation_is_counted_over_all_its_archives(generations: Generations) -> None:
    """It was counted from zero for each archive, so that the whole history was read."""
    generations.begin()
    for number in range(5):
        generations.archive(number * 100, 30)
        generations.archive_log.roll("size")
    assert serials(generations.plan()) == [*range(120, 130), *range(200, 230), *range(300, 330), *range(400, 430)]


def test_a_generation_is_forgotten_when_those_after_it_consumed_for_half_an_hour(generations: Generations) -> None:
    expected: list[int] = []
    for number in range(2):
        generations.begin()
        generations.archive(number * 1000, 10, number * AGE_US)
        generations.archive(number * 1000 + 10, 10, number * AGE_US + 2 * AGE_US // 3)
        expected += range(number * 1000, number * 1000 + 20)
    assert serials(generations.plan()) == expected
    generations.begin()
    generations.archive(2000, 10, 2 * AGE_US)
    generations.archive(2010, 10, 2 * AGE_US + 2 * AGE_US // 3)
    found = generations.plan()
    assert serials(found) == [*range(1000, 1020), *range(2000, 2020)]
    assert found.begins == tuple(generations.begins[2:])


def test_hours_without_a_connection_are_no_hours_of_consuming(generations: Generations) -> None:
    """The broker was not reachable. The messages that it had not returned may come after the first new ones."""
    generations.archive(0, 10)
    for number in (1, 2):
        generations.begin()
        generations.archive(number * 1000, 10, number * 10 * AGE_US)
    assert serials(generations.plan()) == [*range(10), *range(1000, 1010), *range(2000, 2010)]


def test_the_window_is_bounded_in_events_and_in_generations(
    generations: Generations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unsettled, "BEGINS_MAX", 4)
    for number in range(9):
        generations.begin()
        generations.archive(number * 1000, 10)
    found = generations.plan()
    assert serials(found)[-40:] == [number * 1000 + serial for number in range(5, 9) for serial in range(10)]
    assert len(found.begins) == 4
    assert found.events <= 4 * 10 + WINDOW
    assert serials(generations.plan(events_max=25)) == [*range(6000, 6010), *range(7000, 7010), *range(8000, 8010)]


def test_a_begin_before_which_nothing_was_archived_is_not_kept(generations: Generations) -> None:
    """A disk that is full for days does not take the place of a generation that was killed."""
    generations.archive(0, 10)
    generations.archive_log.roll("stop")
    for _ in range(300):
        generations.archive_log.ledger.next_sequence()
        generations.begin()
        generations.begins = list(generations.plan().begins)
    assert len(generations.begins) == 1
    generations.archive(1000, WINDOW)
    assert serials(generations.plan()) == [*range(10), *range(1000, 1000 + WINDOW)]


def test_of_a_batch_with_events_of_two_generations_each_counts_its_own(generations: Generations) -> None:
    """As it is after the archive was repacked."""
    generations.archive(0, 60, step=60)
    generations.archive(60, 90, step=90)
    generations.begins = [(1, 40), (1, 100)]
    assert serials(generations.plan()) == [*range(60), *range(150), *range(60, 150)]
