"""Export archived events as files of other systems, which the programs of those systems can read.

Invariants: a file has its final name only when it is whole and durable, and it never replaces another file. Each part of an event that a
format cannot hold is counted and reported, by name.
"""

import hashlib
import json
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path

import orjson

from codec import jsonl
from codec.event import Event
from codec.foreign import shoebox
from codec.foreign.imported import imported_headers
from codec.limits import LINE_BYTES_MAX
from consumer.convert.cloudinit_export import encode_cloudinit
from consumer.convert.formats import EVENT_MEMBER, FileFormat
from consumer.convert.lines import is_json
from consumer.convert.output_file import OutputFile, output_file
from consumer.convert.report import ExportReport
from consumer.convert.theia_export import encode_theia
from consumer.disk.durable import Disk
from consumer.query.search import Found

_MINUTE_US = 60_000_000

Encode = Callable[[Found, ExportReport], bytes | None]  # None for an event that the format cannot hold


def export(disk: Disk, found: Iterable[Found], format: FileFormat, out: Path) -> ExportReport:
    """Write events as files into the directory `out`. The events must be in the order of their time.

    Raises FileExistsError if a file exists already, Fatal if pyarrow is missing for `parquet`, and OSError.
    """
    disk.make_directory(out.absolute())
    report = ExportReport()
    WRITERS[format](disk, found, out, report)
    return report


def _write_one_file(disk: Disk, path: Path, found: Iterable[Found], encode: Encode, report: ExportReport) -> None:
    """Write all events into one file."""
    with output_file(disk, path) as file:
        for one in found:
            _write_event(file, encode(one, report), report)
        report.files.append(file.finish())


def _write_event(file: OutputFile, raw: bytes | None, report: ExportReport) -> None:
    if raw is None:
        report.left_out += 1
    else:
        file.write(raw)
        report.events += 1


def _write_shoebox(disk: Disk, found: Iterable[Found], out: Path, report: ExportReport) -> None:
    _write_one_file(disk, out / "events.shoebox", found, lambda one, _: _encode_shoebox(one.event), report)


def _encode_shoebox(event: Event) -> bytes:
    """The headers of an imported event unchanged, and one more member from which an import restores the event."""
    members = event._asdict() | {"header": b64encode(event.header).decode()}
    del members["body"]
    headers = imported_headers(event) or {}
    return shoebox.encode([*headers.items(), (EVENT_MEMBER, json.dumps(members))], event.body)


def _write_jsonl(disk: Disk, found: Iterable[Found], out: Path, report: ExportReport) -> None:
    _write_one_file(disk, out / "events.jsonl", found, _encode_jsonl, report)


def _encode_jsonl(one: Found, report: ExportReport) -> bytes | None:
    line = jsonl.encode(*one, exact=True)
    if len(line) - 1 <= LINE_BYTES_MAX:
        return line
    report.lacks("an event that is longer than a line may be")
    return None


def _write_shoebox_json(disk: Disk, found: Iterable[Found], out: Path, report: ExportReport) -> None:
    """Write bodies as lines into a gzip file. Its name holds the SHA-256 of the lines."""
    digest = hashlib.sha256()
    packer = zlib.compressobj(6, wbits=31)
    with output_file(disk, out / "events.json.gz") as file:
        for event, _ in found:
            line = _body_line(event.body, report)
            report.lacks("id, type, time, tags, exchange, properties and headers")
            report.count_delivery(event)
            if line is not None:
                digest.update(line)
            _write_event(file, None if line is None else packer.compress(line), report)
        file.write(packer.flush())
        report.files.append(file.finish(f"events_{digest.hexdigest()}.json.gz"))


def _body_line(body: bytes, report: ExportReport) -> bytes | None:
    """A body as a line of JSON. None if it is not JSON. Line feeds between JSON members are removed."""
    if not body.strip():
        report.lacks("an empty body")
        return None
    if b"\n" in body:
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError:
            report.lacks("a body of several lines")
            return None
        report.lacks("line feeds between JSON members")
    elif not is_json(body):
        report.lacks("a body that is not JSON")
        return None
    return body.replace(b"\n", b"") + b"\n"


def _write_theia(disk: Disk, found: Iterable[Found], out: Path, report: ExportReport) -> None:
    """Write one file for each minute, with the name that theia's index expects: first second and last second plus one."""
    for minute, events in groupby(found, lambda one: one.event.time_us // _MINUTE_US):
        if minute < 0:  # theia's index cannot read a name with a minus sign
            count = sum(1 for _ in events)
            report.lacks("times before 1970", count)
            report.left_out += count
            continue
        path = out / f"{minute * 60}-{minute * 60 + 60}"
        _write_one_file(disk, path, events, lambda one, report: encode_theia(one.event, report), report)


def _write_cloudinit(disk: Disk, found: Iterable[Found], out: Path, report: ExportReport) -> None:
    _write_one_file(disk, out / "kvp_pool_1", found, encode_cloudinit, report)


def _write_parquet(disk: Disk, found: Iterable[Found], out: Path, report: ExportReport) -> None:
    from consumer.convert.parquet import write_parquet  # only if it is needed: its module is slow to import

    report.events, report.files = write_parquet(disk, found, out)


WRITERS: dict[FileFormat, Callable[[Disk, Iterable[Found], Path, ExportReport], None]] = {
    FileFormat.SHOEBOX: _write_shoebox,
    FileFormat.SHOEBOX_JSON: _write_shoebox_json,
    FileFormat.THEIA: _write_theia,
    FileFormat.CLOUDINIT: _write_cloudinit,
    FileFormat.JSONL: _write_jsonl,
    FileFormat.PARQUET: _write_parquet,
}
