import pytest

from codec.gap import Gap, GapKind


def test_a_gap_names_kind_size_and_reason() -> None:
    assert str(Gap(7, 12, GapKind.TORN, "cut")) == "torn, 12 bytes: cut"
    assert str(Gap(7, 0, GapKind.MISSING, "two events")) == "missing: two events"
    assert Gap(7, 12, GapKind.TORN, "cut").end == 19


@pytest.mark.parametrize(
    ("events", "first_event", "size", "expected"),
    [
        (None, None, 0, "an unknown number of events lost: damaged: why"),
        (1, 4, 9, "1 event lost from event 4 on: damaged, 9 bytes: why"),
        (2, 0, 0, "2 events lost from event 0 on: damaged: why"),
    ],
)
def test_a_loss_has_a_number_of_events_and_the_first_one(
    events: int | None, first_event: int | None, size: int, expected: str
) -> None:
    assert Gap(7, size, GapKind.DAMAGED, "why", first_event, events).loss == expected
