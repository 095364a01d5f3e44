"""The pool records of cloud-init for an event.

Invariants: keys are unique, because a Hyper-V host keeps only the last record of equal keys. Each part of an event that the records
cannot hold is counted.
"""

import json
import re
import zlib
from base64 import b64encode
from uuid import NAMESPACE_OID, uuid5

from codec.errors import CodecError
from codec.event import Event, format_time
from codec.foreign import cloudinit
from codec.foreign.imported import imported_headers
from consumer.convert.report import ExportReport
from consumer.query.search import Found

_KEPT = ("result", "duration")  # members that cloud-init itself writes, besides name, type, time and text
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,200})(\.\d{1,200})?([eE][+-]?\d{1,2})?", re.ASCII)  # RFC 8259, and finite
_KEY_UNITS = 254 - 5  # the part of a key that the host keeps, without room for the number of a slice


def encode_cloudinit(found: Found, report: ExportReport) -> bytes | None:
    """An event as records. None if its name, type or value is too long."""
    event = found.event
    headers = imported_headers(event)
    if headers is not None and not event.type and "|" not in headers.get("key", "|"):
        return _key_value(headers["key"], event, report)
    report.lacks("exchange, properties and headers", headers is None)
    report.lacks("tags", bool(event.tags))
    report.count_delivery(event)
    members = headers or {}
    fields = _fields(event, members)
    report.lacks("headers", bool(members.keys() - {"key", "name", *_KEPT}))
    body = _text_body(event, fields, report)
    key = _key(found, members, fields)
    report.lacks("id", cloudinit.id_of(key) != event.id)
    try:
        return b"".join(cloudinit.encode(key, fields, body))
    except CodecError:
        report.lacks("a name or type that is too long")
        return None


def _fields(event: Event, members: dict[str, str]) -> dict[str, object]:
    """The members of a value without the body."""
    name = members.get("name") or event.routing_key or event.id or "event"
    fields: dict[str, object] = {"name": name, "type": event.type, "ts": format_time(event.time_us)}
    return fields | {key: _number_or_text(value) for key, value in members.items() if key in _KEPT}


def _text_body(event: Event, fields: dict[str, object], report: ExportReport) -> str:
    """The body as text. If it is not UTF-8, the type becomes `compressed`, and the text holds the compressed body."""
    try:
        body = event.body.decode()
    except UnicodeDecodeError:
        report.lacks("the type of an event whose body is not UTF-8", event.type != cloudinit.COMPRESSED)
        fields["type"] = cloudinit.COMPRESSED
    if fields["type"] == cloudinit.COMPRESSED:
        return json.dumps({"encoding": "gz+b64", "data": b64encode(zlib.compress(event.body)).decode()})
    return body


def _key_value(key: str, event: Event, report: ExportReport) -> bytes | None:
    """A record that never was an event of cloud-init, such as PROVISIONING_REPORT: its value is the body."""
    report.lacks("id", event.id != key)
    report.lacks("time")
    report.lacks("tags", bool(event.tags))
    report.count_delivery(event)
    try:
        return cloudinit.encode_pair(key, event.body)
    except CodecError:
        report.lacks("a value that is too long")
        return None


def _number_or_text(value: str) -> object:
    """A JSON number if the text is one. `duration` is a number, and an import keeps it as text."""
    return float(value) if _NUMBER.fullmatch(value) else value


def _key(found: Found, members: dict[str, str], fields: dict[str, object]) -> str:
    """The key that the event had when it was imported; otherwise a new one with a UUID of its own."""
    key = members.get("key", "")
    if key.startswith(f"{cloudinit.PREFIX}|") and key.count("|") >= 4 and len(key) <= _KEY_UNITS:
        return key
    event = found.event
    name, kind = (str(part).replace("|", "%7C")[:60] for part in (fields["name"], fields["type"]))
    uuid = uuid5(NAMESPACE_OID, _utf8(f"{event.id}|{event.arrived_us}|{found.position}"))
    return f"{cloudinit.PREFIX}|{event.arrived_us // 1_000_000}|{_utf8(kind)}|{_utf8(name)}|{uuid}"


def _utf8(text: str) -> str:
    """The text with lone surrogates, which UTF-8 cannot encode, as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()
