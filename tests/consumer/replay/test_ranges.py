"""A set of numbers as ranges equals a set of numbers."""

import random

from consumer.replay.ranges import Ranges


def test_ranges_hold_the_same_numbers_as_a_set() -> None:
    chance = random.Random(1)
    for _ in range(300):
        numbers = {chance.randrange(40) for _ in range(chance.randrange(30))}
        ranges = Ranges.of(chance.sample(sorted(numbers), len(numbers)))
        assert {number for number in range(-2, 45) if number in ranges} == numbers
        assert len(ranges) == len(numbers)
        for first in range(40):
            for count in range(1, 6):
                wanted = range(first, first + count)
                assert ranges.covers(wanted) == numbers.issuperset(wanted)


def test_ranges_that_touch_or_overlap_become_one() -> None:
    assert Ranges([(5, 9), (0, 4), (7, 8), (11, 11), (12, 20)]).pairs == [(0, 9), (11, 20)]
    assert Ranges().pairs == []
    assert "1" not in Ranges([(1, 1)])
