"""One file that is due, and the outcome of an attempt to ship it: an exception is an outcome too, so that it concerns this file only."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from consumer.ship.local_files import LocalFile, is_shippable_name
from consumer.ship.record import Stamps
from consumer.ship.upload import Refused, Shipped


class Due(NamedTuple):
    """A file to ship, in the state in which it was found."""

    file: LocalFile
    stamp: Stamps

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return sum(one.size for one in self.stamp)


Outcome = Shipped | Exception | None  # None: it is not there


def outcome_of(work: Callable[[LocalFile], Shipped | None], file: LocalFile) -> Outcome:
    """What the work gives for a file, or its exception."""
    try:
        if not is_shippable_name(file.name):
            raise Refused(f"{file.path}: its name is not UTF-8", "rename it")
        return work(file)
    except Exception as error:  # noqa: BLE001 -- also a defect is the outcome of one file only
        return error


def present(files: Iterable[LocalFile]) -> Iterator[Due]:
    """The files with their stamps, without those that were removed in the meantime."""
    for file in files:
        with suppress(FileNotFoundError):
            yield Due(file, file.stamps())
