"""Theia's events: a preamble with byte counts, header lines, the content; one line feed behind it, or two in store files.

Invariants: content is taken by its length and may hold anything, a forged preamble too; header values are what stands behind the
colon, blanks included. Source: theia 0.9.2, model.py and naivestore.py.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from codec.errors import Corrupt, TooLarge, Truncated
from codec.foreign.resync import Raw, records
from codec.gap import Gap, GapKind
from codec.limits import BODY_BYTES_MAX

_PREAMBLE = re.compile(rb"event: (\d{1,18}) (\d{1,9}) (\d{1,18})\n")
_PREAMBLE_MAX = 64
_HEADER_MAX = 1 << 16  # id, timestamp, source and tags
_TIMESTAMP = re.compile(r"\s*-?[0-9]{1,15}(\.[0-9]{1,12})?\s*")
_FIELDS = {"id", "timestamp", "source", "tags"}


class Record(NamedTuple):
    """An event of theia. `time_us`: microseconds since 1970."""

    offset: int
    id: str
    time_us: int
    source: str
    tags: tuple[str, ...]
    content: bytes


def read(raw: Raw) -> Iterator[Record | Gap]:
    """All events, and the gaps between them."""
    return records(raw, _record, [b"event: "])


def _record(raw: Raw, at: int) -> tuple[Record | Gap, int]:
    """The event at `at`, or the reason why it is too large, and where it and its separators end. Raises Corrupt and Truncated."""
    preamble = _PREAMBLE.match(raw[at : at + _PREAMBLE_MAX])
    if preamble is None:
        if len(raw) - at < _PREAMBLE_MAX and b"\n" not in raw[at : len(raw)]:
            raise Truncated(f"{len(raw) - at} bytes without a whole preamble", at)
        raise Corrupt(f"{raw[at : at + 24]!r} where an event begins", at)
    total, header_size, content_size = map(int, preamble.groups())
    if total != header_size + content_size or header_size > _HEADER_MAX:
        raise Corrupt(f"{total} bytes of {header_size} and {content_size}", at)
    start = at + preamble.end()
    middle, end = start + header_size, start + total
    if end > len(raw):
        raise Truncated(f"event of {total} bytes, {len(raw) - start} left", at)
    if content_size > BODY_BYTES_MAX:
        return Gap(at, end - at, GapKind.DAMAGED, f"content of {content_size} bytes, {BODY_BYTES_MAX} at most"), end
    if raw[end : end + 1] not in (b"\n", b""):
        raise Corrupt("no line feed behind the content", at)
    fields = _fields(raw[start:middle], at)
    tags = tuple(fields["tags"].split(",")) if fields["tags"] else ()
    record = Record(at, fields["id"], _time_us(fields["timestamp"], at), fields["source"], tags, raw[middle:end])
    end += 1
    return record, end + 1 if raw[end : end + 1] == b"\n" else min(end, len(raw))


def _fields(header: bytes, at: int) -> dict[str, str]:
    try:
        text = header.decode()
    except UnicodeDecodeError as error:
        raise Corrupt("header that is no UTF-8", at) from error
    fields = dict.fromkeys(_FIELDS, "")
    for line in text.removesuffix("\n").split("\n"):
        name, colon, value = line.partition(":")
        if not colon or name.lower() not in _FIELDS:
            raise Corrupt(f"header line {line!r}", at)
        fields[name.lower()] = value
    return fields


def _time_us(text: str, at: int) -> int:
    if not _TIMESTAMP.fullmatch(text):
        raise Corrupt(f"timestamp {text[:40]!r}", at)
    return round(Decimal(text.strip()) * 1_000_000)


def unheld(record: Record) -> list[str]:
    """What of an event the format cannot hold, by name: line feeds forge headers, commas split tags, content is text."""
    faults = [name for name, value in (("id", record.id), ("source", record.source)) if not _line_is(value)]
    if any("," in tag or not tag or not _line_is(tag) for tag in record.tags):
        faults.append("tags")
    try:
        record.content.decode()
    except UnicodeDecodeError:
        faults.append("content")
    return faults


def _line_is(value: str) -> bool:
    """Whether a value comes back as it was: theia strips each line, and reads text."""
    return value.isprintable() and value == value.rstrip()


def write(record: Record, separators: int = 2) -> bytes:
    """An event as theia writes it, followed by two line feeds in a file of its store, by one in a stream.

    Raises TooLarge for a header that `read` refuses.
    """
    stamp = Decimal(record.time_us) / 1_000_000
    header = f"id:{record.id}\ntimestamp: {stamp:.7f}\nsource:{record.source}\ntags:{','.join(record.tags)}\n".encode()
    if len(header) > _HEADER_MAX:
        raise TooLarge(f"header of {len(header)} bytes, {_HEADER_MAX} at most")
    size = len(header) + len(record.content)
    return (
        b"event: %d %d %d\n" % (size, len(header), len(record.content)) + header + record.content + b"\n" * separators
    )
