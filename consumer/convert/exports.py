"""Archived events as files of other systems, which the readers of those systems can read.

Invariants: a file has its final name only when it is whole and durable, and never replaces another one; each part of an event that
a format cannot hold is counted and reported, by name.
"""

import errno
import hashlib
import json
import re
import zlib
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from uuid import NAMESPACE_OID, uuid4, uuid5

import orjson

from codec import jsonl
from codec.errors import CodecError
from codec.event import Event, format_time
from codec.foreign import cloudinit, shoebox, theia
from codec.foreign.imported import imported_headers
from codec.limits import LINE_BYTES_MAX
from consumer.convert.imports import MARK, is_json
from consumer.disk.durable import Disk
from consumer.query.search import Found

_BUFFER_BYTES = 1 << 20
_MINUTE_US = 60_000_000


@dataclass
class Report:
    """What an export did: events and files, and how often which part of an event found no place."""

    events: int = 0
    files: list[Path] = field(default_factory=list)
    unsupported: Counter[str] = field(default_factory=Counter)
    left_out: int = 0


class _File:
    """A file in the making."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self._disk, self._path = disk, path
        if path.exists():
            raise FileExistsError(errno.EEXIST, "exists, and no file is ever replaced", str(path))
        self._part = path.with_name(f"{path.name}.{uuid4().hex[:8]}.part")  # its own: two exports may run at once
        self._fd = -1  # until `create`
        self._buffer = bytearray()

    def create(self) -> None:
        """Make the unfinished file. `close` removes it, also if a signal ends the command in the middle of this."""
        self._fd = self._disk.create(self._part)

    def write(self, raw: bytes) -> None:
        self._buffer += raw
        if len(self._buffer) >= _BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._disk.append(self._fd, bytes(self._buffer))
        self._buffer.clear()

    def finish(self, name: str | None = None) -> Path:
        """Durable, under its name. Raises FileExistsError."""
        self._flush()
        self._disk.sync(self._fd)
        target = self._path if name is None else self._path.with_name(name)
        if target.exists():
            raise FileExistsError(errno.EEXIST, "exists, and no file is ever replaced", str(target))
        self._disk.rename(self._part, target)
        return target

    def close(self) -> None:
        if self._fd >= 0:
            self._disk.close(self._fd)
        self._part.unlink(missing_ok=True)  # of an export that did not end


@contextmanager
def _file(disk: Disk, path: Path) -> Iterator[_File]:
    made = _File(disk, path)
    try:
        made.create()
        yield made
    finally:
        made.close()


def export(disk: Disk, found: Iterable[Found], format: str, out: Path) -> Report:
    """Write events, which come in the order of their time, below `out`. Raises OSError."""
    disk.make_directory(out.absolute())
    report = Report()
    if format == "parquet":
        from consumer.convert.parquet import write_parquet

        report.events, report.files = write_parquet(disk, found, out)
    else:
        WRITERS[format](disk, found, out, report)
    return report


def _whole(
    disk: Disk, path: Path, found: Iterable[Found], encode: Callable[[Found, Report], bytes | None], report: Report
) -> None:
    """All events into one file."""
    with _file(disk, path) as file:
        for one in found:
            _write(file, encode(one, report), report)
        report.files.append(file.finish())


def _write(file: _File, raw: bytes | None, report: Report) -> None:
    if raw is None:
        report.left_out += 1
    else:
        file.write(raw)
        report.events += 1


def _to_shoebox(disk: Disk, found: Iterable[Found], out: Path, report: Report) -> None:
    _whole(disk, out / "events.shoebox", found, lambda one, _: _shoebox(one.event), report)


def _shoebox(event: Event) -> bytes:
    """The headers of an imported event as they were, and what restores the event under a name of ours."""
    ours = event._asdict() | {"header": b64encode(event.header).decode()}
    del ours["body"]
    return shoebox.encode([*(imported_headers(event) or {}).items(), (MARK, json.dumps(ours))], event.body)


def _to_jsonl(disk: Disk, found: Iterable[Found], out: Path, report: Report) -> None:
    _whole(disk, out / "events.jsonl", found, _jsonl, report)


def _jsonl(one: Found, report: Report) -> bytes | None:
    line = jsonl.encode(*one, exact=True)
    if len(line) - 1 <= LINE_BYTES_MAX:
        return line
    report.unsupported["an event that is longer than a line may be"] += 1
    return None


def _to_shoebox_json(disk: Disk, found: Iterable[Found], out: Path, report: Report) -> None:
    """Bodies as lines in a gzip file that is named after the SHA-256 of the lines."""
    digest = hashlib.sha256()
    packer = zlib.compressobj(6, wbits=31)
    with _file(disk, out / "events.json.gz") as file:
        for event, _ in found:
            line = _one_line(event.body, report)
            report.unsupported["id, type, time, tags, exchange, properties and headers"] += 1
            _count_flags(event, report)
            if line is not None:
                digest.update(line)
            _write(file, None if line is None else packer.compress(line), report)
        file.write(packer.flush())
        report.files.append(file.finish(f"events_{digest.hexdigest()}.json.gz"))


def _one_line(body: bytes, report: Report) -> bytes | None:
    """A body as a line, if it is one that a reader takes. SearchableBytes line feeds in JSON stand between its members only, and are left out."""
    if not body.strip():
        report.unsupported["an empty body"] += 1
        return None
    if b"\n" in body:
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError:
            report.unsupported["a body of several lines"] += 1
            return None
        report.unsupported["line feeds between JSON members"] += 1
    elif not is_json(body):
        report.unsupported["a body that is not JSON"] += 1
        return None
    return body.replace(b"\n", b"") + b"\n"


def _to_theia(disk: Disk, found: Iterable[Found], out: Path, report: Report) -> None:
    """A file a minute, named as theia's index wants it."""
    for minute, events in groupby(found, lambda one: one.event.time_us // _MINUTE_US):
        if minute < 0:  # its index reads no name with a sign
            count = sum(1 for _ in events)
            report.unsupported["times before 1970"] += count
            report.left_out += count
            continue
        path = out / f"{minute * 60}-{minute * 60 + 60}"
        _whole(disk, path, events, lambda one, said: _theia(one.event, said), report)


def _theia(event: Event, report: Report) -> bytes | None:
    headers = imported_headers(event)
    source = (headers or {}).get("source") or event.routing_key or event.exchange or event.type or "deedbox"
    record = theia.Record(0, event.id, event.time_us, source, event.tags, event.body)
    faults = theia.unsupported(record)
    report.unsupported.update(faults)
    _count_flags(event, report)
    if headers is None or headers.keys() - {"source"} or event.type:
        report.unsupported["type, exchange, properties and headers"] += 1
    if "content" in faults:
        return None
    tags = tuple(filter(None, (_flat(tag).replace(",", " ") for tag in event.tags)))
    try:
        return theia.encode(record._replace(id=_flat(event.id), source=_flat(source), tags=tags))
    except CodecError:
        report.unsupported["an id, a source and tags that are too long"] += 1
        return None


def _flat(text: str) -> str:
    """One line that theia gives back unchanged."""
    return "".join(c if c.isprintable() else " " for c in text).rstrip().encode("utf-8", "replace").decode()


def _to_cloudinit(disk: Disk, found: Iterable[Found], out: Path, report: Report) -> None:
    _whole(disk, out / "kvp_pool_1", found, _cloudinit, report)


def _cloudinit(found: Found, report: Report) -> bytes | None:
    event = found.event
    headers = imported_headers(event)
    if headers is not None and not event.type and "|" not in headers.get("key", "|"):
        return _plain_pair(headers["key"], event, report)
    report.unsupported["exchange, properties and tags"] += headers is None or bool(event.tags)
    _count_flags(event, report)
    named = headers or {}
    name = named.get("name") or event.routing_key or event.id or "event"
    fields: dict[str, object] = {"name": name, "type": event.type, "ts": format_time(event.time_us)}
    fields |= {key: _number_or_text(value) for key, value in named.items() if key in _CARRIED}
    report.unsupported["headers"] += bool(named.keys() - {"key", "name", *_CARRIED})
    try:
        body = event.body.decode()
    except UnicodeDecodeError:
        report.unsupported["type of a body that is no text"] += event.type != cloudinit.COMPRESSED
        fields["type"] = cloudinit.COMPRESSED
    if fields["type"] == cloudinit.COMPRESSED:
        body = json.dumps({"encoding": "gz+b64", "data": b64encode(zlib.compress(event.body)).decode()})
    key = _key(found, named, fields)
    report.unsupported["id"] += cloudinit.id_of(key) != event.id
    try:
        return b"".join(cloudinit.encode(key, fields, body))
    except CodecError:
        report.unsupported["a name or type that is too long"] += 1
        return None


def _plain_pair(key: str, event: Event, report: Report) -> bytes | None:
    """A pair that was never an event of cloud-init, such as PROVISIONING_REPORT."""
    report.unsupported["id"] += event.id != key
    report.unsupported["time and tags"] += 1
    _count_flags(event, report)
    try:
        return cloudinit.encode_pair(key, event.body)
    except CodecError:
        report.unsupported["a value that is too long"] += 1
        return None


def _count_flags(event: Event, report: Report) -> None:
    report.unsupported["redelivered and duplicate flags"] += event.redelivered or bool(event.duplicate)


def _number_or_text(value: str) -> object:
    """A number of JSON if the text is one: `duration` is a number, and an import keeps it as text."""
    return float(value) if _NUMBER.fullmatch(value) else value


_CARRIED = ("result", "duration")  # the members that cloud-init itself writes beside name, type, time and text
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,200})(\.\d{1,200})?([eE][+-]?\d{1,2})?", re.ASCII)  # RFC 8259, and finite
_KEY_UNITS = 254 - 5  # what the host sees of a key, less the number of a slice


def _key(found: Found, named: dict[str, str], fields: dict[str, object]) -> str:
    """The key that the event had when it was imported, or a new one: of equal keys, the host keeps only the last."""
    key = named.get("key", "")
    if key.startswith(f"{cloudinit.PREFIX}|") and key.count("|") >= 4 and len(key) <= _KEY_UNITS:
        return key
    event = found.event
    name, kind = (str(part).replace("|", "%7C")[:60] for part in (fields["name"], fields["type"]))
    own = uuid5(NAMESPACE_OID, _utf8(f"{event.id}|{event.arrived_us}|{found.position}"))
    return f"{cloudinit.PREFIX}|{event.arrived_us // 1_000_000}|{_utf8(kind)}|{_utf8(name)}|{own}"


def _utf8(text: str) -> str:
    """Text that UTF-8 can hold: lone surrogates become escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


WRITERS: dict[str, Callable[[Disk, Iterable[Found], Path, Report], None]] = {
    "shoebox": _to_shoebox, "shoebox-json": _to_shoebox_json, "theia": _to_theia, "cloudinit": _to_cloudinit,
    "jsonl": _to_jsonl,
}  # fmt: skip

__all__ = ["WRITERS", "Report", "export"]
