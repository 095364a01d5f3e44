from pathlib import Path

import pytest

from consumer.archive.listing import find_archives
from consumer.archive.newest import last_events
from tests.support.shelves import shelf, some


@pytest.mark.parametrize(("count", "first"), [(1, 4), (4, 4), (5, 3), (8, 0), (100, 0)])
def test_the_last_events_come_from_the_end(tmp_path: Path, count: int, first: int) -> None:
    one = shelf(tmp_path)
    for at, size in ((0, 3), (3, 1), (4, 4)):
        one.append(some(at, size))
    one.roll("stop")
    (sealed,) = find_archives([tmp_path])
    assert list(last_events(sealed, count)) == list(enumerate(some(first, 8 - first), first))
