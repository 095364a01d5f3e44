"""A set of numbers as ranges: the events of an archive that have a receipt. Pure.

Invariant: the ranges are in order and do not touch each other, so that equal sets have equal ranges.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

Pair = tuple[int, int]  # the first and the last number of a range


class Ranges:
    """An immutable set of numbers."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, pairs: Iterable[Pair] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in sorted(pairs):
            if self._lasts and first <= self._lasts[-1] + 1:
                self._lasts[-1] = max(self._lasts[-1], last)
            else:
                self._firsts.append(first)
                self._lasts.append(last)

    @classmethod
    def of(cls, numbers: Iterable[int]) -> "Ranges":
        """The set of these numbers."""
        return cls((number, number) for number in numbers)

    @property
    def pairs(self) -> Sequence[Pair]:
        """First and last number of each range."""
        return list(zip(self._firsts, self._lasts, strict=True))

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and self.covers(range(number, number + 1))

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.pairs)

    def covers(self, numbers: range) -> bool:
        """Whether the set has all of these numbers. `numbers`: in order, not empty, without holes."""
        at = bisect_right(self._firsts, numbers.start) - 1
        return at >= 0 and numbers.stop - 1 <= self._lasts[at]
