"""What readers of other systems' files give: whole records, and the bytes between them that are none.

Role: the one result type of `shoebox`, `theia` and `cloudinit`. Invariant: every byte of a file belongs to a record or to a
`Skipped`; reading goes on behind damage at the next place where a record is whole.
"""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from codec.amqp import Field, decode_header, encode_header, untext
from codec.errors import CodecError
from codec.event import TIME_US_MAX, TIME_US_MIN, Event


class Skipped(NamedTuple):
    """Bytes that are no record; `reason` begins with `torn` at the end of a file, and with `damaged` before it."""

    offset: int
    size: int
    reason: str


class Raw(Protocol):
    """Bytes, or a file mapped to memory: what can be sliced and searched without being read whole."""

    def __len__(self) -> int: ...

    def __getitem__(self, piece: slice, /) -> bytes: ...

    def find(self, found: bytes, start: int = ..., end: int = ..., /) -> int:
        """Where these bytes stand first, or -1."""


def gap(offset: int, after: int | None, size: int, reason: str) -> Skipped:
    """The gap from `offset` to the next record, or to the end of the file."""
    if after is None:
        return Skipped(offset, size - offset, f"torn: {reason}")
    return Skipped(offset, after - offset, f"damaged: {reason}")


def event_of(
    body: bytes, *, id: str, type: str, time_us: int, headers: Iterable[tuple[str, str]], tags: tuple[str, ...] = ()
) -> Event:
    """An event that never crossed a broker: what its file said of it is in id, type, time and tags, and in AMQP headers."""
    table = tuple((name, Field("S", untext(value))) for name, value in headers)
    time_us = min(max(time_us, TIME_US_MIN), TIME_US_MAX)
    return Event(
        id, type, time_us, time_us, "", "", encode_header({"headers": table} if table else {}), body, tags=tags
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
