"""Archives: the archives below some paths, and the methods to read them.

Invariant: reading acquires no lock, so a program may read while Deedbox writes.
"""

import errno
import operator
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from consumer.api.errors import ReadError, wrong_type
from consumer.api.event import ArchivedEvent
from consumer.api.events import Events
from consumer.api.filters import Filters, make_query
from consumer.archive.location import Location, parse_location
from consumer.archive.position import Position
from consumer.archive.reading.fault import ReadFault
from consumer.errors import DeedboxError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import pyarrow as pa

    from consumer.archive.checking.verdict import Verdict


def open(*paths: str | os.PathLike[str]) -> "Archives":
    """The archives below these paths: directories, archive files, or URLs such as `s3://bucket/prefix`. Nothing is read yet.

    Raises FileNotFoundError if a path does not exist, ValueError for a URL that is not possible, and TypeError without a path or
    for another type.
    """
    if not paths:
        raise TypeError("expected a path: a directory of archives, or an archive file")
    for path in paths:
        if not isinstance(path, str | os.PathLike):
            raise wrong_type("path", path, "a text or a Path")
    return Archives([_existing(path) for path in paths])


def arrow(
    *paths: str | os.PathLike[str], columns: Iterable[str] | None = None, faults: list[ReadFault] | None = None,
    executor: "Executor | None" = None, **filters: Unpack[Filters],
) -> "pa.RecordBatchReader":  # fmt: skip
    """The events below these paths as record batches of Arrow: short for `open(*paths).arrow(…)`, and raises the same errors."""
    return open(*paths).arrow(columns, faults=faults, executor=executor, **filters)


def _existing(path: str | os.PathLike[str]) -> Location:
    """The location. Raises FileNotFoundError if a local path does not exist."""
    location = parse_location(path)
    if not os.fspath(path) or (
        isinstance(location, Path) and not location.exists()
    ):  # Path("") is the working directory
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))
    return location


class Archives:
    """The archives below some paths. Each call looks for archives again, so new ones are found."""

    def __init__(self, paths: Sequence[Location]) -> None:
        self.paths = tuple(paths)

    def search(
        self, *, newest_first: bool = False, limit: int | None = None, strict: bool = True,
        executor: "Executor | None" = None, **filters: Unpack[Filters],
    ) -> Events:  # fmt: skip
        """The events that pass all filters (see `Filters`), in order of their time. Without filters, all events.

        `limit`: how many events at most. `strict`: raise ReadError after the last event if a part of the archives could
        not be read; if it is False, `faults` of the result has the parts that could not be read. `executor`: decodes batches ahead, for
        example a ProcessPoolExecutor; without one, the caller decodes them.

        Raises TypeError for an unknown filter or a value of a wrong type, and ValueError for a value that is not possible.
        """
        from consumer.api.sources import SearchSource
        from consumer.query.search import Search

        most = None if limit is None else _count("limit", limit)
        _check_executor(executor)
        search = Search(self.paths, make_query(filters), newest_first, executor)
        return Events(SearchSource(search, most, strict))

    def arrow(
        self, columns: Iterable[str] | None = None, *, faults: list[ReadFault] | None = None,
        executor: "Executor | None" = None, **filters: Unpack[Filters],
    ) -> "pa.RecordBatchReader":  # fmt: skip
        """The events that pass all filters as record batches of Arrow, in the order of the archives. Needs the extra `sql`.

        `columns`: their names, in this order; None for all. `faults`: a list that gets the parts that could not be read; without it,
        the reader raises ReadError after the last batch. `executor`: decodes batches ahead, as for `search`.

        Raises TypeError for an unknown filter or a value of a wrong type, and ValueError for a value that is not possible.
        """
        from consumer.query.arrow_events import ArrowEvents

        _check_executor(executor)
        names = None if columns is None else _column_names(columns)
        events = ArrowEvents(self.paths, make_query(filters), executor)

        def end() -> None:
            if faults is not None:
                faults.extend(events.faults)
            elif events.faults:
                raise ReadError(events.faults)

        return events.reader(names, at_end=end)

    def tail(
        self, newest: int = 10, *, follow: bool = False, strict: bool = True, **filters: Unpack[Filters]
    ) -> Events:
        """The `newest` events that pass all filters, in order of their arrival.

        `follow`: wait for events after that, and never end; `newest=0` begins with the next event. The events of one
        instance keep their order. `strict`: raise ReadError if a part could not be read, after the events that were found
        with it; if it is False, `faults` of the result has the parts that could not be read.

        Raises TypeError for an unknown filter or a value of a wrong type, and ValueError for a value that is not possible, also
        for `follow` with a URL.
        """
        from consumer.api.sources import LatestSource, TailSource
        from consumer.follow.latest import Latest
        from consumer.follow.tail import Tail

        most, query = _count("newest", newest), make_query(filters)
        local = [path for path in self.paths if isinstance(path, Path)]
        if len(local) == len(self.paths):
            return Events(TailSource(Tail(local, query), most, follow, strict))
        if follow:
            (url, *_) = set(self.paths) - set(local)
            raise ValueError(f"follow=True with {url}; archives in object storage cannot be followed")
        return Events(LatestSource(Latest(self.paths, query), most, strict))

    def get(self, name: str | Position) -> list[ArchivedEvent]:
        """The events with this id, or the event at this position; an empty list if there is none.

        Several events may have one id, because publishers choose ids. Marked duplicates are returned too, and deleted
        events are not. A text such as `a1-00000007:41` is a position. Raises ReadError if a part that may
        hold such an event could not be read, TypeError for another type, and ValueError for an empty id.
        """
        from consumer.api.sources import events
        from consumer.query.named import EventName, Visibility, find_named

        if not isinstance(name, str | Position):
            raise wrong_type("name", name, "an id as a text, or a Position")
        try:
            wanted = EventName.parse(str(name))
        except DeedboxError as error:
            raise ValueError(str(error)) from error
        faults: list[ReadFault] = []
        found = [
            one
            for named in find_named(self.paths, wanted, Visibility.SHOWN, faults)
            for one in events(named.positions())
        ]
        if faults:
            raise ReadError(faults)
        return found

    def verify(self) -> "Iterator[Verdict]":
        """Read every byte of every archive, and yield a verdict for each archive and for each one that is missing.

        `faults` of a verdict has its faults: path, offset in bytes, reason. `acknowledged` has the faults that an
        operator has acknowledged. The archive is complete if both are empty.
        """
        from consumer.archive.checking.verify import verify

        return verify(list(self.paths))

    def __repr__(self) -> str:
        return f"deedbox.open({', '.join(repr(str(path)) for path in self.paths)})"


def _count(name: str, count: int) -> int:
    """The count; a larger one than there can be events is reduced. Raises TypeError and ValueError."""
    try:
        number = operator.index(count)
    except TypeError:
        raise wrong_type(name, count, "an integer") from None
    if number < 0:
        raise ValueError(f"{name}={number}; expected 0 or more")
    return min(number, sys.maxsize)


def _column_names(columns: Iterable[str]) -> list[str]:
    """The names of columns, each once. Raises TypeError and ValueError."""
    from consumer.query.arrow_columns import COLUMNS

    if isinstance(columns, str | bytes) or not isinstance(columns, Iterable):
        raise wrong_type("columns", columns, "several names")
    names = list(dict.fromkeys(columns))
    if not names or not COLUMNS.keys() >= set(names):
        raise ValueError(f"columns={names}; expected at least one of {', '.join(COLUMNS)}")
    return names


def _check_executor(executor: "Executor | None") -> None:
    if executor is None:
        return
    from concurrent.futures import Executor

    if not isinstance(executor, Executor):
        raise wrong_type("executor", executor, "a concurrent.futures.Executor")
