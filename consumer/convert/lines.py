"""Import lines of JSON, plain or compressed by gzip.

A line that `codec.jsonl` encoded gives the same event; any other line of JSON is the body of a new event. Invariant: memory holds at
most one line, of at most LINE_BYTES_MAX.
"""

import gzip
import hashlib
import json
import re
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from codec import jsonl
from codec.errors import CodecError
from codec.event import Event
from codec.foreign.imported import imported_event
from codec.foreign.resync import SearchableBytes
from codec.gap import Gap, GapKind
from codec.limits import LINE_BYTES_MAX, PARSED_BYTES_MAX
from codec.notification import Description, describe_body

GZIP_MAGIC = b"\x1f\x8b"
_PIECE_BYTES = 1 << 20
_SHA256 = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


class Line(NamedTuple):
    """A line without its line feed. `text`: None if the line is too long. `last`: no line feed follows."""

    offset: int
    size: int
    text: bytes | None
    last: bool


def decode_lines(raw: SearchableBytes) -> Iterator[Event | Gap]:
    """The events of a file of lines, and a gap for each line that is not JSON."""
    pieces = (raw[at : at + _PIECE_BYTES] for at in range(0, len(raw), _PIECE_BYTES))
    for line in split_lines(pieces):
        yield from _line_event(line)


def decode_gzip(path: Path) -> Iterator[Event | Gap]:
    """The events of lines in a gzip file. If the file name holds a SHA-256, it must be that of the content. Raises OSError.

    Shoebox names its files so.
    """
    content = _GzipContent(path)
    for line in split_lines(content):
        yield from _line_event(line)
    named, found = _SHA256.search(path.name), content.digest.hexdigest()
    if content.gap is not None:
        yield content.gap
    elif named and found != named[0]:
        reason = f"the SHA-256 of the content is {found}, {named[0]} expected from the file name"
        yield Gap(content.size, 0, GapKind.DAMAGED, reason)


def split_lines(pieces: Iterable[bytes]) -> Iterator[Line]:
    """The lines of bytes that are given in pieces. Needs linear time, and no more memory than the longest allowed line."""
    at, size = 0, 0
    parts: list[bytes] = []
    for piece in pieces:
        *ends, remainder = piece.split(b"\n")
        for end in ends:
            size += len(end)
            yield Line(at, size, b"".join([*parts, end]) if size <= LINE_BYTES_MAX else None, last=False)
            at, size, parts = at + size + 1, 0, []
        size += len(remainder)
        parts.append(remainder)
        if size > LINE_BYTES_MAX:
            parts = []
    yield Line(at, size, b"".join(parts) if size <= LINE_BYTES_MAX else None, last=True)


def _line_event(line: Line) -> Iterator[Event | Gap]:
    """The event of a line; nothing for an empty line. The last line may be torn if no line feed follows."""
    at, size, text, last = line
    kind = GapKind.TORN if last else GapKind.DAMAGED
    if text is None:
        yield Gap(at, size, kind, f"line of {size} bytes, at most {LINE_BYTES_MAX} allowed")
        return
    if not text.strip():
        return
    try:
        event = jsonl.decode(text)
    except CodecError as error:
        yield Gap(at, size, kind, error.reason)
        return
    if event is not None:
        yield event
        return
    description = describe_body(text)
    if any(description) or is_json(text):  # a line with a description was parsed already
        yield described_event(text, [], description)
    else:
        yield Gap(at, size, kind, "not JSON, and no line feed after it" if last else "not JSON")


def described_event(body: bytes, headers: list[tuple[str, str]], description: Description) -> Event:
    """A new event with ID, type and time of its body. Without a time, the event time is now."""
    time_us = time.time_ns() // 1000 if description.time_us is None else description.time_us
    return imported_event(body, id=description.id, type=description.type, time_us=time_us, headers=headers)


def is_json(line: bytes) -> bool:
    """Whether a line is JSON. A long line is checked without building objects, which may need thirty times its size."""
    try:
        json.loads(line) if len(line) <= PARSED_BYTES_MAX else msgspec.json.decode(line, type=msgspec.Raw)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return False
    return True


class _GzipContent:
    """The decompressed content of a gzip file in pieces. After the iteration: `digest`, `size`, and `gap` if the file is torn."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.digest, self.size = hashlib.sha256(), 0
        self.gap: Gap | None = None

    def __iter__(self) -> Iterator[bytes]:
        with gzip.open(self._path) as file:
            while piece := self._next(file):
                self.digest.update(piece)
                self.size += len(piece)
                yield piece

    def _next(self, file: gzip.GzipFile) -> bytes:
        try:
            return file.read1(_PIECE_BYTES)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            self.gap = Gap(self.size, 0, GapKind.TORN, str(error))
            return b""
