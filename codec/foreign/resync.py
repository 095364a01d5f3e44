"""What readers of other systems' files give: whole records, and the bytes between them that are none.

Role: the one result type of `shoebox`, `theia` and `cloudinit`. Invariant: every byte of a file belongs to a record or to a
`Gap`; reading goes on behind damage at the next place where a record is whole.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Protocol, TypeVar

from codec.amqp import SHORT_MAX, Field, decode_header, encode_header, encode_text
from codec.errors import CodecError, Corrupt, Truncated
from codec.event import TIME_US_MAX, TIME_US_MIN, Event
from codec.gap import Gap, GapKind
from codec.limits import check_event

T = TypeVar("T")


class Raw(Protocol):
    """Bytes, or a file mapped to memory: what can be sliced and searched without being read whole."""

    def __len__(self) -> int: ...

    def __getitem__(self, piece: slice, /) -> bytes: ...

    def find(self, found: bytes, start: int = ..., end: int = ..., /) -> int:
        """Where these bytes stand first, or -1."""


def gap(offset: int, after: int | None, size: int, reason: str) -> Gap:
    """The gap from `offset` to the next record, or to the end of the file."""
    if after is None:
        return Gap(offset, size - offset, GapKind.TORN, reason)
    return Gap(offset, after - offset, GapKind.DAMAGED, reason)


def records(raw: Raw, take: Callable[[Raw, int], tuple[T, int]], marks: Sequence[bytes]) -> Iterator[T | Gap]:
    """All records of a file, and the gaps between them.

    `take` gives the record at a place and where it ends, or raises Corrupt or Truncated; one begins with one of `marks`. Each
    mark is looked for once, however many places only look like one.
    """
    at = 0
    places = _places(raw, marks)
    ahead = next(places, None)
    while at < len(raw):
        try:
            record, after = take(raw, at)
        except (Corrupt, Truncated) as fault:
            while ahead is not None and (ahead <= at or not _is_whole(raw, take, ahead)):
                ahead = next(places, None)
            yield gap(at, ahead, len(raw), fault.reason)
            at = len(raw) if ahead is None else ahead
            continue
        yield record
        at = after


def _places(raw: Raw, marks: Sequence[bytes]) -> Iterator[int]:
    """Where marks stand, in order."""
    following = {mark: raw.find(mark) for mark in marks}
    while found := {mark: place for mark, place in following.items() if place >= 0}:
        mark, place = min(found.items(), key=lambda pair: pair[1])
        yield place
        following[mark] = raw.find(mark, place + 1)


def _is_whole(raw: Raw, take: Callable[[Raw, int], tuple[T, int]], at: int) -> bool:
    try:
        take(raw, at)
    except (Corrupt, Truncated):
        return False
    return True


def event_of(
    body: bytes, *, id: str, type: str, time_us: int, headers: Iterable[tuple[str, str]], tags: tuple[str, ...] = ()
) -> Event:
    """An event that never crossed a broker: what its file said of it is in id, type, time and tags, and in AMQP headers.

    Raises TooLarge.
    """
    table = tuple((_short(name), Field("S", encode_text(value))) for name, value in headers)
    time_us = min(max(time_us, TIME_US_MIN), TIME_US_MAX)
    event = Event(
        id, type, time_us, time_us, "", "", encode_header({"headers": table} if table else {}), body, tags=tags
    )
    check_event(event)
    return event


def _short(name: str) -> str:
    """A name that a header table can hold."""
    if len(encode_text(name)) <= SHORT_MAX:
        return name
    return (
        f"{encode_text(name)[:200].decode('utf-8', 'ignore')}~{blake2b(encode_text(name), digest_size=8).hexdigest()}"
    )


def headers_of(event: Event) -> dict[str, str] | None:
    """The headers of an event that was imported, as text; None for one that came from a broker."""
    if event.exchange or event.routing_key:
        return None
    try:
        headers = decode_header(event.header).get("headers", ())
    except CodecError:
        return {}
    assert isinstance(headers, tuple), "of a header that decodes"
    return {name: field.value.decode("utf-8", "surrogateescape") for name, field in headers if field.kind == "S"}
