"""Events of theia: a preamble with byte counts, header lines, and the content; then one line feed, or two in the files of its store.

Invariants: the preamble gives the length of the content, which may hold any bytes, also a forged preamble. A header value is all
text after the colon, including spaces. Source: theia 0.9.2, model.py and naivestore.py.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from codec.counted import counted
from codec.errors import Corrupt, TooLarge, Truncated
from codec.foreign.resync import SearchableBytes, records
from codec.gap import Gap, GapKind
from codec.limits import BODY_BYTES_MAX

MAGIC = b"event: "
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


def decode(raw: SearchableBytes) -> Iterator[Record | Gap]:
    """All events of a file, and the gaps between them."""
    return records(raw, _record, [MAGIC])


def _record(raw: SearchableBytes, at: int) -> tuple[Record | Gap, int]:
    """The event at an offset, and the offset after it and its separators. A too large event is a gap. Raises Corrupt and Truncated."""
    preamble = _PREAMBLE.match(raw[at : at + _PREAMBLE_MAX])
    if preamble is None:
        if len(raw) - at < _PREAMBLE_MAX and b"\n" not in raw[at : len(raw)]:
            raise Truncated(f"{counted(len(raw) - at, 'byte')} left, a whole preamble expected", at)
        raise Corrupt(f"{raw[at : at + 24]!r} found, the preamble of an event expected", at)
    total, header_size, content_size = map(int, preamble.groups())
    if total != header_size + content_size or header_size > _HEADER_MAX:
        sizes = f"{counted(total, 'byte')} with a header of {header_size} and content of {content_size} found"
        raise Corrupt(f"{sizes}, their sum and a header of at most {_HEADER_MAX} expected", at)
    start = at + preamble.end()
    middle, end = start + header_size, start + total
    if end > len(raw):
        raise Truncated(f"{counted(len(raw) - start, 'byte')} left, an event of {total} expected", at)
    if content_size > BODY_BYTES_MAX:
        return Gap(
            at, end - at, GapKind.DAMAGED, f"content of {content_size} bytes, at most {BODY_BYTES_MAX} allowed"
        ), end
    if raw[end : end + 1] not in (b"\n", b""):
        raise Corrupt(f"{raw[end : end + 1]!r} found after the content, a line feed expected", at)
    fields = _fields(raw[start:middle], at)
    tags = tuple(fields["tags"].split(",")) if fields["tags"] else ()
    record = Record(at, fields["id"], _time_us(fields["timestamp"], at), fields["source"], tags, raw[middle:end])
    end += 1
    return record, end + 1 if raw[end : end + 1] == b"\n" else min(end, len(raw))


def _fields(header: bytes, at: int) -> dict[str, str]:
    try:
        text = header.decode()
    except UnicodeDecodeError as error:
        raise Corrupt(
            f"header with the bytes {error.object[error.start : error.end].hex(' ')} found, UTF-8 expected", at
        ) from error
    fields = dict.fromkeys(_FIELDS, "")
    for line in text.removesuffix("\n").split("\n"):
        name, colon, value = line.partition(":")
        if not colon or name.lower() not in _FIELDS:
            raise Corrupt(f"header line {line[:99]!r} found, id, timestamp, source or tags expected", at)
        fields[name.lower()] = value
    return fields


def _time_us(text: str, at: int) -> int:
    if not _TIMESTAMP.fullmatch(text):
        raise Corrupt(f"timestamp {text[:40]!r} found, a number of seconds since 1970 expected", at)
    return round(Decimal(text.strip()) * 1_000_000)


def unsupported(record: Record) -> list[str]:
    """The names of the members that the format cannot hold: a line feed ends a header, a comma ends a tag, content must be UTF-8."""
    names = [name for name, value in (("id", record.id), ("source", record.source)) if not _is_one_line(value)]
    if any("," in tag or not tag or not _is_one_line(tag) for tag in record.tags):
        names.append("tags")
    try:
        record.content.decode()
    except UnicodeDecodeError:
        names.append("content")
    return names


def _is_one_line(value: str) -> bool:
    """Whether theia reads the value unchanged: it splits the header into lines and strips each of them."""
    return value.isprintable() and value == value.rstrip()


def encode(record: Record, separators: int = 2) -> bytes:
    """An event as theia writes it. `separators`: number of line feeds after it, 2 in a file of theia's store and 1 in a stream.

    Raises TooLarge for a header that `decode` refuses.
    """
    stamp = Decimal(record.time_us) / 1_000_000
    header = f"id:{record.id}\ntimestamp: {stamp:.7f}\nsource:{record.source}\ntags:{','.join(record.tags)}\n".encode()
    if len(header) > _HEADER_MAX:
        raise TooLarge(f"header of {len(header)} bytes, at most {_HEADER_MAX} allowed")
    size = len(header) + len(record.content)
    return (
        b"event: %d %d %d\n" % (size, len(header), len(record.content)) + header + record.content + b"\n" * separators
    )
