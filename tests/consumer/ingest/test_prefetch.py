from hypothesis import given
from hypothesis import strategies as st

from consumer.ingest.prefetch import next_prefetch, unacknowledged_max


@given(st.integers(1, 65_535), st.integers(0, 6))
def test_what_all_windows_hold_together_is_bounded(most: int, narrow: int) -> None:
    """Archived events of the narrow window were taken for acknowledged when those of the wide one came again."""
    windows = [max(1, most >> 2 * narrow)]
    while windows[-1] < most:
        windows.append(next_prefetch(windows[-1], most))
    assert windows[-1] == most
    assert sum(windows) <= unacknowledged_max(most)
