"""Import the events of a file of another system, with a gap for bytes that are no event.

Invariant: the body of an imported event is the exact payload of the file. The other members of a record become ID, type, time
and tags of the event if they have that meaning, and AMQP headers with their own names otherwise.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from codec.errors import CodecError
from codec.event import Event, check_duplicate, format_time
from codec.foreign import cloudinit, shoebox, theia
from codec.foreign.imported import imported_event
from codec.foreign.resync import SearchableBytes
from codec.gap import Gap, GapKind
from codec.limits import check_event
from codec.notification import describe_body
from consumer.convert.formats import EVENT_MEMBER, FileFormat
from consumer.convert.input_file import InputFile
from consumer.convert.lines import GZIP_MAGIC, decode_gzip, decode_lines, described_event


def events_of(path: Path, format: FileFormat) -> Iterator[Event | Gap]:
    """The events of a file in one of READERS' formats, and its gaps, in the order of the file. Raises OSError."""
    with InputFile(path) as raw:
        if format in (FileFormat.SHOEBOX, FileFormat.JSONL) and raw[:2] == GZIP_MAGIC:
            yield from decode_gzip(path)
        else:
            yield from READERS[format](raw)


def _shoebox_events(raw: SearchableBytes) -> Iterator[Event | Gap]:
    for found in shoebox.decode(raw):
        yield found if isinstance(found, Gap) else _shoebox_event(found)


def _shoebox_event(record: shoebox.Record) -> Event | Gap:
    """The event of a record. If Deedbox exported the record, its metadata restores the same event."""
    exported = dict(record.metadata).get(EVENT_MEMBER)
    try:
        if exported is not None:
            return _restored(record.payload, exported)
        return described_event(record.payload, list(record.metadata), describe_body(record.payload))
    except (CodecError, msgspec.MsgspecError, KeyError, ValueError, TypeError, RecursionError) as error:
        return Gap(record.offset, len(record.payload), GapKind.DAMAGED, f"{EVENT_MEMBER}: {error}")


def _restored(body: bytes, exported: str) -> Event:
    """The event that an export wrote. Raises CodecError, MsgspecError, KeyError, ValueError, TypeError and RecursionError."""
    members = json.loads(exported) | {"body": ""}
    event = msgspec.convert([members[name] for name in Event._fields], Event)._replace(body=body)
    format_time(event.time_us), format_time(event.arrived_us)  # raises if a time is outside the calendar
    check_duplicate(event.duplicate)
    check_event(event)
    return event


def _theia_events(raw: SearchableBytes) -> Iterator[Event | Gap]:
    for found in theia.decode(raw):
        if isinstance(found, Gap):
            yield found
            continue
        headers = [("source", found.source)]
        yield imported_event(
            found.content, id=found.id, type="", time_us=found.time_us, headers=headers, tags=found.tags
        )


def _cloudinit_events(raw: SearchableBytes) -> Iterator[Event | Gap]:
    now_us = time.time_ns() // 1000
    for found in cloudinit.decode(raw):
        if isinstance(found, Gap):
            yield found
            continue
        others = [(name, value) for name, value in found.fields.items() if name not in ("type", "ts")]
        time_us = now_us if found.time_us is None else found.time_us
        kind = found.fields.get("type", "")
        yield imported_event(found.body, id=found.id, type=kind, time_us=time_us, headers=[("key", found.key), *others])


READERS: dict[FileFormat, Callable[[SearchableBytes], Iterator[Event | Gap]]] = {
    FileFormat.SHOEBOX: _shoebox_events,
    FileFormat.THEIA: _theia_events,
    FileFormat.CLOUDINIT: _cloudinit_events,
    FileFormat.JSONL: decode_lines,
}
