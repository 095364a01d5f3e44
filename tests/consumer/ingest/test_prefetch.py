from hypothesis import given
from hypothesis import strategies as st

from consumer.ingest.prefetch import next_prefetch, unacknowledged_max


@given(st.integers(1, 65_535), st.integers(0, 6))
def test_the_sum_of_all_prefetches_is_bounded(prefetch: int, reductions: int) -> None:
    """Events of the reduced prefetch counted as acknowledged when those of the full prefetch were redelivered."""
    prefetches = [max(1, prefetch >> 2 * reductions)]
    while prefetches[-1] < prefetch:
        prefetches.append(next_prefetch(prefetches[-1], prefetch))
    assert prefetches[-1] == prefetch
    assert sum(prefetches) <= unacknowledged_max(prefetch)
