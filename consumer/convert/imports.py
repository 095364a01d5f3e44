"""Events out of other systems' files: what is whole, and a line for each stretch of bytes that is not.

Invariant: the body of an imported event is the predecessor's payload to the byte; what else its file said becomes id, type, time and
tags where it means that, and AMQP headers under its own names where it does not.
"""

import errno
import gzip
import hashlib
import json
import os
import re
import stat
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Self

import msgspec

from codec import jsonl
from codec.errors import CodecError
from codec.event import Event, check_duplicate, format_time
from codec.foreign import cloudinit, shoebox, theia
from codec.foreign.imported import imported_event
from codec.foreign.resync import SearchableBytes
from codec.gap import Gap, GapKind
from codec.limits import LINE_BYTES_MAX, PARSED_BYTES_MAX, check_event
from codec.notification import Description, describe_body
from codec.parts import PREFIX, part_kind
from codec.profiles import KEY_BYTES, RECORD_BYTES

Read = Iterator[Event | Gap]
ARCHIVE = "archive"  # a file of ours, which is no format of an import
MARK = "deedbox.event"  # under this name an export keeps what a format has no place for, as JSON
_FIND_BYTES = 1 << 16
_PIECE_BYTES = 1 << 20
_SHA256 = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


def events_of(path: Path, format: str) -> Read:
    """The events of a file, and what is none. Raises OSError."""
    with _File(path) as raw:
        if format in ("shoebox", "jsonl") and raw[:2] == b"\x1f\x8b":
            yield from _gzipped(path)
        else:
            yield from READERS[format](raw)


def format_of(path: Path) -> str | None:
    """The format that the first bytes of a file show, as far as they show one. Raises OSError."""
    with _File(path) as raw:
        start = raw[:RECORD_BYTES]
        whole_records = len(raw) > 0 and len(raw) % RECORD_BYTES == 0
    if part_kind(start[: PREFIX.size]) is not None:
        return ARCHIVE
    if start.startswith(_SHOEBOX_MARKS):
        return "shoebox"
    if start.startswith(b"event: "):
        return "theia"
    if whole_records and b"\0" in start[:KEY_BYTES].lstrip(b"\0"):
        return "cloudinit"
    return "jsonl" if start.startswith((b"{", b"[")) else None


_SHOEBOX_MARKS = (0x69867884).to_bytes(4, "little"), (0x69867884).to_bytes(4, "big")


class _File:
    """A file as `SearchableBytes`, read piece by piece: a file that is truncated meanwhile would kill a process that has mapped it."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        found = os.fstat(self._fd)
        if not stat.S_ISREG(found.st_mode):
            os.close(self._fd)
            raise OSError(errno.EINVAL, "not a regular file; save it as one first", str(path))
        self._size = found.st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, piece: slice) -> bytes:
        start, stop, _ = piece.indices(self._size)
        return os.pread(self._fd, stop - start, start) if stop > start else b""

    def find(self, found: bytes, start: int = 0, end: int | None = None) -> int:
        """Where these bytes stand first, or -1."""
        last = self._size if end is None else min(end, self._size)
        for at in range(start, last, _FIND_BYTES):
            place = self[at : min(at + _FIND_BYTES + len(found) - 1, last)].find(found)
            if place >= 0:
                return at + place
        return -1


def _described(body: bytes, headers: list[tuple[str, str]], said: Description) -> Event:
    time_us = time.time_ns() // 1000 if said.time_us is None else said.time_us
    return imported_event(body, id=said.id, type=said.type, time_us=time_us, headers=headers)


def _shoebox(raw: SearchableBytes) -> Read:
    for found in shoebox.decode(raw):
        if isinstance(found, Gap):
            yield found
            continue
        ours = dict(found.metadata).get(MARK)
        try:
            said = describe_body(found.payload)
            yield (
                _described(found.payload, list(found.metadata), said)
                if ours is None
                else _restored(found.payload, ours)
            )
        except (CodecError, msgspec.MsgspecError, KeyError, ValueError, TypeError, RecursionError) as error:
            yield Gap(found.offset, len(found.payload), GapKind.DAMAGED, f"{MARK}: {error}")


def _restored(body: bytes, ours: str) -> Event:
    """The event that an export of ours wrote."""
    members = json.loads(ours) | {"body": ""}
    event = msgspec.convert([members[name] for name in Event._fields], Event)._replace(body=body)
    format_time(event.time_us), format_time(event.arrived_us)  # outside of the calendar they are none
    check_duplicate(event.duplicate)
    check_event(event)
    return event


def _theia(raw: SearchableBytes) -> Read:
    for found in theia.decode(raw):
        if isinstance(found, Gap):
            yield found
        else:
            headers = [("source", found.source)]
            yield imported_event(
                found.content, id=found.id, type="", time_us=found.time_us, headers=headers, tags=found.tags
            )


def _cloudinit(raw: SearchableBytes) -> Read:
    now_us = time.time_ns() // 1000
    for found in cloudinit.decode(raw):
        if isinstance(found, Gap):
            yield found
            continue
        headers = [
            ("key", found.key),
            *((name, value) for name, value in found.fields.items() if name not in ("type", "ts")),
        ]
        time_us = now_us if found.time_us is None else found.time_us
        yield imported_event(
            found.body, id=found.id, type=found.fields.get("type", ""), time_us=time_us, headers=headers
        )


class _Line(NamedTuple):
    """A line without its line feed. `text` is None for one that is too long; `last`: no line feed follows."""

    offset: int
    size: int
    text: bytes | None
    last: bool


def _lines(pieces: Iterable[bytes]) -> Iterator[_Line]:
    """The lines of bytes that come in pieces. Takes linear time, and no more memory than the longest line that is allowed."""
    at, size = 0, 0
    parts: list[bytes] = []
    for piece in pieces:
        *ends, rest = piece.split(b"\n")
        for end in ends:
            size += len(end)
            yield _Line(at, size, b"".join([*parts, end]) if size <= LINE_BYTES_MAX else None, last=False)
            at, size, parts = at + size + 1, 0, []
        size += len(rest)
        parts.append(rest)
        if size > LINE_BYTES_MAX:
            parts = []
    yield _Line(at, size, b"".join(parts) if size <= LINE_BYTES_MAX else None, last=True)


def _jsonl(raw: SearchableBytes) -> Read:
    """Lines of ours give the same events; any other line is a body."""
    pieces = (raw[at : at + _PIECE_BYTES] for at in range(0, len(raw), _PIECE_BYTES))
    for line in _lines(pieces):
        yield from _event_of(line)


def _event_of(line: _Line) -> Read:
    """The event of a line. One without a line feed that is not JSON may have been cut."""
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
    said = describe_body(text)
    if any(said) or is_json(text):  # what says something was parsed
        yield _described(text, [], said)
    else:
        yield Gap(at, size, kind, "not JSON, and no line feed after it" if last else "not JSON")


def is_json(line: bytes) -> bool:
    """Whether a line is JSON. A long one is only looked over, strictly: as objects it may take thirty times its size."""
    try:
        json.loads(line) if len(line) <= PARSED_BYTES_MAX else msgspec.json.decode(line, type=msgspec.Raw)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return False
    return True


class _Unzipped:
    """The content of a gzip file in pieces; afterwards, its digest, and what ended it early."""

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


def _gzipped(path: Path) -> Read:
    """Lines of a gzip file. Shoebox names it after the SHA-256 of its content, and then it must be that."""
    content = _Unzipped(path)
    for line in _lines(content):
        yield from _event_of(line)
    named = _SHA256.search(path.name)
    if content.gap is not None:
        yield content.gap
    elif named and content.digest.hexdigest() != named[0]:
        yield Gap(content.size, 0, GapKind.DAMAGED, "the SHA-256 of the content is not the one in the name")


READERS: dict[str, Callable[[SearchableBytes], Read]] = {
    "shoebox": _shoebox, "theia": _theia, "cloudinit": _cloudinit, "jsonl": _jsonl,
}  # fmt: skip
