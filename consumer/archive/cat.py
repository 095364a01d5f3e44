"""Print archives: JSON lines, bodies, or the KVP records as they are."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from codec import jsonl, kvp
from codec.errors import CodecError
from codec.event import Event
from consumer.archive.catalog import Wanted, entries
from consumer.archive.reader import ArchiveFile, Batch, Gap, open_archive
from consumer.archive.tombstones import Tombstones

Encode = Callable[[Event, str], bytes]  # an event and its position, as it is printed


def _bodies(event: Event, _position: str) -> bytes:
    return event.body + b"\n"


def _records(event: Event, position: str) -> bytes:
    """The records of an event, as the archive holds them: for batches that also hold deleted events."""
    archive, _, number = position.rpartition(":")
    return b"".join(kvp.encode(event, f"{archive}.{number}"))


FORMATS: dict[str, Encode] = {"jsonl": jsonl.encode, "raw": _bodies, "kvp": _records}


def cat_archives(paths: list[Path], format: str | Encode, out: BinaryIO, complain: Callable[[str], None]) -> bool:
    """Print all events that can be read, in one of FORMATS or as `format` encodes them; say whether something could not be."""
    damaged = False
    for entry in entries(paths, Wanted()):
        if entry.identity is None:
            complain(entry.faults[0])
            damaged = True
            continue
        try:
            with open_archive(entry.path) as archive:
                damaged |= _cat(archive, entry.tombstones, format, out, complain)
        except OSError as error:
            complain(f"{entry.path}: {error.strerror or error}")
            damaged = True
    return damaged


def _cat(
    archive: ArchiveFile, tombstones: Tombstones, format: str | Encode, out: BinaryIO, complain: Callable[[str], None]
) -> bool:
    damaged = False
    if archive.size == 0 and not archive.live:
        complain(f"{archive.path}: at 0: empty file")
        return True
    for part in archive.parts():
        if isinstance(part, Batch):
            try:
                _print(archive, part, tombstones, format, out)
            except CodecError as error:
                complain(f"{archive.path}: at {part.offset}: batch {part.header.number}: {error}")
                damaged = True
        elif isinstance(part, Gap) and not (archive.live and part.harmless):
            complain(f"{archive.path}: at {part.offset}: {part.kind}, {part.size} bytes: {part.reason}")
            damaged = True
    return damaged


def _print(archive: ArchiveFile, batch: Batch, tombstones: Tombstones, format: str | Encode, out: BinaryIO) -> None:
    if format == "kvp" and not tombstones.within(batch.header):
        out.write(batch.records())
        return
    name = str(archive.id or archive.path.name)
    kept = tombstones.kept(batch.header, batch.events())
    encode = FORMATS[format] if isinstance(format, str) else format
    out.write(b"".join(encode(event, f"{name}:{number}") for number, event in kept))
