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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import msgspec

from codec import cloudinit, jsonl, shoebox, theia
from codec.errors import CodecError
from codec.event import Event, check_duplicate, format_time
from codec.foreign import Raw, Skipped, event_of
from codec.notification import describe_body
from codec.profiles import KEY_BYTES, RECORD_BYTES

Read = Iterator[Event | Skipped]
MARK = "deedbox.event"  # under this name an export keeps what a format has no place for, as JSON
_FIND_BYTES = 1 << 16
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
    if start.startswith(_SHOEBOX_MARKS):
        return "shoebox"
    if start.startswith(b"event: "):
        return "theia"
    if whole_records and b"\0" in start[:KEY_BYTES].lstrip(b"\0"):
        return "cloudinit"
    return "jsonl" if start.startswith((b"{", b"[")) else None


_SHOEBOX_MARKS = (0x69867884).to_bytes(4, "little"), (0x69867884).to_bytes(4, "big")


class _File:
    """A file as `Raw`, read piece by piece: a file that is truncated meanwhile would kill a process that has mapped it."""

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


def _described(body: bytes, headers: list[tuple[str, str]]) -> Event:
    said = describe_body(body)
    time_us = time.time_ns() // 1000 if said.time_us is None else said.time_us
    return event_of(body, id=said.id, type=said.type, time_us=time_us, headers=headers)


def _shoebox(raw: Raw) -> Read:
    for found in shoebox.read(raw):
        if isinstance(found, Skipped):
            yield found
            continue
        ours = dict(found.metadata).get(MARK)
        try:
            yield _described(found.payload, list(found.metadata)) if ours is None else _restored(found.payload, ours)
        except (CodecError, msgspec.MsgspecError, KeyError, ValueError, TypeError, RecursionError) as error:
            yield Skipped(found.offset, len(found.payload), f"damaged: {MARK}: {error}")


def _restored(body: bytes, ours: str) -> Event:
    """The event that an export of ours wrote."""
    members = json.loads(ours) | {"body": ""}
    event = msgspec.convert([members[name] for name in Event._fields], Event)._replace(body=body)
    format_time(event.time_us), format_time(event.arrived_us)  # outside of the calendar they are none
    check_duplicate(event.duplicate)
    return event


def _theia(raw: Raw) -> Read:
    for found in theia.read(raw):
        if isinstance(found, Skipped):
            yield found
        else:
            headers = [("source", found.source)]
            yield event_of(found.content, id=found.id, type="", time_us=found.time_us, headers=headers, tags=found.tags)


def _cloudinit(raw: Raw) -> Read:
    now_us = time.time_ns() // 1000
    for found in cloudinit.read(raw):
        if isinstance(found, Skipped):
            yield found
            continue
        headers = [
            ("key", found.key),
            *((name, value) for name, value in found.fields.items() if name not in ("type", "ts")),
        ]
        time_us = now_us if found.time_us is None else found.time_us
        yield event_of(found.body, id=found.id, type=found.fields.get("type", ""), time_us=time_us, headers=headers)


def _jsonl(raw: Raw) -> Read:
    """Lines of ours give the same events; any other line is a body."""
    at = 0
    while at < len(raw):
        end = raw.find(b"\n", at)
        end = len(raw) if end < 0 else end
        yield from _line(raw[at:end], at, last=end == len(raw))
        at = end + 1


def _line(line: bytes, at: int, last: bool) -> Read:
    """The event of a line. `last`: no line feed follows, so that a line that is not JSON may have been cut."""
    if not line.strip():
        return
    try:
        event = jsonl.decode(line)
    except CodecError as error:
        yield Skipped(at, len(line), f"{'torn' if last else 'damaged'}: {error.reason}")
        return
    if event is None and not _is_json(line):
        yield Skipped(at, len(line), "torn: not JSON, and no line feed after it" if last else "damaged: not JSON")
    else:
        yield _described(line, []) if event is None else event


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _gzipped(path: Path) -> Read:
    """Lines of a gzip file. Shoebox names it after the SHA-256 of its content, and then it must be that."""
    digest, rest, at, fault = hashlib.sha256(), b"", 0, ""
    with gzip.open(path) as file:
        while True:
            try:
                piece = file.read1(1 << 20)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                fault = f"torn: {error}"
                break
            if not piece:
                break
            digest.update(piece)
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield from _line(line, at, last=False)
                at += len(line) + 1
    yield from _line(rest, at, last=True)
    named = _SHA256.search(path.name)
    if not fault and named and digest.hexdigest() != named[0]:
        fault = "damaged: the SHA-256 of the content is not the one in the name"
    if fault:
        yield Skipped(at, 0, fault)


READERS: dict[str, Callable[[Raw], Read]] = {
    "shoebox": _shoebox, "theia": _theia, "cloudinit": _cloudinit, "jsonl": _jsonl,
}  # fmt: skip
