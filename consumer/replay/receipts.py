"""Receipts: the durable record of the events that were published again and confirmed by the broker.

Role: `followers/NAME.receipts` in the archive directory. The next replay with this name leaves out every event that has a receipt. A set and not one
position, because events are published in the order of their times across instances, archives may come late, and single events may be refused.
Invariants: a receipt is written only after the confirm of its event, by appending a line and syncing it; it names the archive by its name and the checksum of
its head, so that it never counts for another archive of the same name; one process at a time holds the file. Each line has a checksum that
covers the line before it: a line that was changed, removed or moved is found. A last line that was not written whole is cut off. Any other damage
is an error, and the file is not changed.
"""

import errno
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
from xxhash import xxh3_64_intdigest

from codec.errors import Corrupt
from consumer.archive import naming
from consumer.disk.durable import Disk, read_regular
from consumer.errors import DeedboxError, Exit, Fatal
from consumer.follow.checkpoint import DIRECTORY
from consumer.replay.ranges import Pair, Ranges

FORMAT = 1
SUFFIX = ".receipts"
BYTES_MAX = 256 << 20  # a line a second for half a year
_CHECK_DIGITS = 16
_LINES_AT_FIRST = 2  # the file is made with the format and a line of all receipts, in one step


class ArchiveHead(NamedTuple):
    """An archive, whatever file holds it. `head`: the checksum of its head, in hexadecimal."""

    name: str
    head: str


class _Entry(msgspec.Struct, frozen=True):
    archive: str
    head: str
    events: list[Pair]  # first and last number of each range


class _Line(msgspec.Struct, frozen=True):
    confirmed: list[_Entry]


class _Format(msgspec.Struct, frozen=True):
    format: int


def receipts_path(directory: Path, name: str) -> Path:
    """The file of one replay of an archive directory. Raises Fatal for a name that cannot be part of a file name."""
    if not naming.is_instance(name):
        raise Fatal(Exit.SETTINGS, f"{name!r} is no name of a checkpoint", f"use {naming.INSTANCE_RULE}")
    return directory / DIRECTORY / f"{name}{SUFFIX}"


def read_receipts(directory: Path, name: str) -> dict[ArchiveHead, Ranges]:
    """The events with a receipt, without the lock and without a change of the file. Raises DeedboxError."""
    return _load(receipts_path(directory, name)).known


class Receipts:
    """The file of one replay, locked until `close`. `known`: the events that had a receipt when it was opened."""

    def __init__(self, disk: Disk, directory: Path, name: str) -> None:
        """Lock, read and compact the file. Raises Fatal if another process holds it, DeedboxError if it cannot be read or written."""
        self.path = receipts_path(directory, name)
        self._disk = disk
        self._fd: int | None = None
        self._fault: DeedboxError | None = None
        self._lock: int | None = self._acquire(directory)
        try:
            found = _load(self.path)
            self.known = found.known
            self._check = found.check if found.is_compact else self._compact(found.known)
            self._fd = disk.open(self.path)
        except OSError as error:
            self.close()
            raise _unwritable(self.path, error) from error
        except BaseException:
            self.close()
            raise

    def _acquire(self, directory: Path) -> int:
        try:
            if not directory.is_dir():
                raise FileNotFoundError(errno.ENOENT, "is not a directory", str(directory))
            with suppress(FileExistsError):
                self.path.parent.mkdir()
                self._disk.sync_directory(directory)
            lock = self._disk.acquire(self.path.with_name(self.path.name + ".lock"))
        except OSError as error:
            raise _unwritable(self.path, error) from error
        if lock is None:
            what = f"{self.path} is used by another process"
            raise Fatal(Exit.INSTANCE, what, "wait until that replay has ended, or choose another name")
        return lock

    def _compact(self, known: Mapping[ArchiveHead, Ranges]) -> int:
        """Write one line for all receipts. The old file holds until the new one is durable. Returns the checksum of the last line."""
        first, check = _encode(_Format(FORMAT), 0)
        second, check = _encode(_line({place: ranges.pairs for place, ranges in known.items()}), check)
        self._disk.replace(self.path, first + second)
        return check

    def store(self, confirmed: Mapping[ArchiveHead, Iterable[int]]) -> None:
        """Add receipts for events, durably. `confirmed`: their numbers, by archive.

        Raises DeedboxError if that fails; then every later call does, because the end of the file is unknown.
        """
        if self._fault is not None:
            raise self._fault
        if not confirmed:
            return
        assert self._fd is not None, "open"
        line, check = _encode(
            _line({place: Ranges.of(numbers).pairs for place, numbers in confirmed.items()}), self._check
        )
        try:
            self._disk.append(self._fd, line)
            self._disk.sync(self._fd)
        except OSError as error:
            self._fault = _unwritable(self.path, error)
            raise self._fault from error
        self._check = check

    def close(self) -> None:
        """Close the file and release the lock."""
        for fd in (self._fd, self._lock):
            if fd is not None:
                self._disk.close(fd)
        self._fd = self._lock = None


def _line(confirmed: "Mapping[ArchiveHead, Iterable[Pair]]") -> _Line:
    return _Line([_Entry(place.name, place.head, list(pairs)) for place, pairs in sorted(confirmed.items())])


def _encode(value: msgspec.Struct, before: int) -> tuple[bytes, int]:
    """A line and its checksum. `before`: the checksum of the line before, 0 for the first one."""
    raw = msgspec.json.encode(value)
    check = xxh3_64_intdigest(raw, before)
    return b"%016x %b\n" % (check, raw), check


class _Found(NamedTuple):
    """What a file holds. `check`: the checksum of its last line. `is_compact`: it need not be written again before lines are appended."""

    known: dict[ArchiveHead, Ranges]
    check: int
    is_compact: bool


def _load(path: Path) -> _Found:
    """Read the receipts. Raises DeedboxError."""
    try:
        raw = read_regular(path, BYTES_MAX + 1)
        if len(raw) > BYTES_MAX:
            raise Corrupt(f"longer than {BYTES_MAX} bytes")
        lines = raw.split(b"\n")
        is_whole = not lines.pop()  # the bytes after the last line feed
        if lines and b"\0" in lines[-1]:  # after a power cut, a file may be longer than what was written
            is_whole = not lines.pop()
        if len(lines) < _LINES_AT_FIRST:
            raise Corrupt(f"{len(lines)} whole lines found, at least {_LINES_AT_FIRST} expected")
        return _decode(path, lines, is_whole)
    except FileNotFoundError:
        return _Found({}, 0, False)
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError, Corrupt) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        what = f"{path}: {reason}"
        raise DeedboxError(what, "restore the file, or remove it to publish all events again") from error


def _decode(path: Path, lines: list[bytes], is_whole: bool) -> _Found:
    check, pairs = 0, dict[ArchiveHead, list[Pair]]()
    for number, line in enumerate(lines, 1):
        raw = line[_CHECK_DIGITS + 1 :]
        check = xxh3_64_intdigest(raw, check)
        if line[: _CHECK_DIGITS + 1] != b"%016x " % check:
            raise Corrupt(f"line {number} does not have the checksum {check:016x}, or a line before it is missing")
        if number == 1:
            if (found := msgspec.json.decode(raw, type=_Format).format) != FORMAT:
                what = f"{path}: the receipts have format {found}, expected {FORMAT}"
                raise DeedboxError(what, "use the version of Deedbox that wrote them, or choose another name")
            continue
        for entry in msgspec.json.decode(raw, type=_Line).confirmed:
            pairs.setdefault(ArchiveHead(entry.archive, entry.head), []).extend(entry.events)
    known = {place: Ranges(ranges) for place, ranges in pairs.items()}
    return _Found(known, check, is_whole and len(lines) == _LINES_AT_FIRST)


def _unwritable(path: Path, error: OSError) -> DeedboxError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    remedy = "free space" if full else "name the archive directory, and make it writable"
    return DeedboxError(f"{error.filename or path}: {error.strerror or error}", f"{remedy}; the next run continues")
