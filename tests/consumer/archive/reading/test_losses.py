from pathlib import Path

import pytest

from consumer.archive.reading.losses import Expected, losses
from consumer.archive.reading.survey import survey
from tests.consumer.archive.reading.test_reader import offsets
from tests.support.archive_logs import archive_log, some


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An open archive of three batches: events 0 to 2, 3, and 4 to 7."""
    one = archive_log(tmp_path)
    for first, count in ((0, 3), (3, 1), (4, 4)):
        one.append(some(first, count))
    assert one.writer is not None
    one.writer.abandon()
    return one.writer.path


def lost(
    path: Path, expected: Expected | None = None, sealed: bool = False
) -> list[tuple[str, int | None, int | None]]:
    return [(gap.kind, gap.first_event, gap.events) for gap in losses(survey(path), expected, sealed)]


def test_a_whole_archive_has_lost_nothing(path: Path) -> None:
    assert lost(path, Expected(8, exact=True), sealed=True) == []


def test_the_number_of_the_next_event_shows_the_loss_in_the_middle(path: Path) -> None:
    raw, at = bytearray(path.read_bytes()), offsets(path)
    raw[at[1] + 100] ^= 1
    path.write_bytes(raw)
    assert lost(path) == [("damaged", 3, 1)]
    path.write_bytes(raw[: at[0]] + raw[at[2] :])
    assert lost(path) == [("missing", 0, 4)]


@pytest.mark.parametrize("cut", [0, 5], ids=["between batches", "in a batch"])
def test_a_loss_at_the_end_is_known_only_from_other_files(path: Path, cut: int) -> None:
    raw, at = path.read_bytes(), offsets(path)
    path.write_bytes(raw[: at[2] + cut])
    kind = "torn" if cut else "missing"
    assert lost(path) == []  # of an open archive, it was never acknowledged
    assert lost(path, Expected(8, exact=False)) == [(kind, 4, 4)]
    assert lost(path, sealed=True) == [(kind, 4, None)]
    assert lost(path, Expected(4, exact=False), sealed=True) == [(kind, 4, None)]
    assert lost(path, Expected(4, exact=True), sealed=True) == []
