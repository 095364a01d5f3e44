from codec.foreign.resync import gap
from codec.gap import Gap, GapKind


def test_a_gap_is_torn_at_the_end_of_the_file_and_damaged_before_another_record() -> None:
    assert gap(5, None, 20, "why") == Gap(5, 15, GapKind.TORN, "why")
    assert gap(5, 9, 20, "why") == Gap(5, 4, GapKind.DAMAGED, "why")
