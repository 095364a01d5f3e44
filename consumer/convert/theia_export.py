"""The record of theia for an event.

Invariant: theia reads each record as it was meant. A member that its format cannot hold is changed or left out, and counted.
"""

from codec.errors import CodecError
from codec.event import Event
from codec.foreign import theia
from codec.foreign.imported import imported_headers
from consumer.convert.report import ExportReport


def encode_theia(event: Event, report: ExportReport) -> bytes | None:
    """An event as a record. None if the format cannot hold its body or the header is too long."""
    headers = imported_headers(event)
    source = (headers or {}).get("source") or event.routing_key or event.exchange or event.type or "deedbox"
    record = theia.Record(0, event.id, event.time_us, source, event.tags, event.body)
    unsupported = theia.unsupported(record)
    report.unsupported.update("a body that is not UTF-8" if name == "content" else name for name in unsupported)
    report.count_delivery(event)
    if headers is None or headers.keys() - {"source"} or event.type:
        report.lacks("type, exchange, properties and headers")
    if "content" in unsupported:
        return None
    tags = tuple(filter(None, (_one_line(tag).replace(",", " ") for tag in event.tags)))
    try:
        return theia.encode(record._replace(id=_one_line(event.id), source=_one_line(source), tags=tags))
    except CodecError:
        report.lacks("an id, a source and tags that are too long")
        return None


def _one_line(text: str) -> str:
    """The text as one line that theia reads unchanged."""
    return "".join(c if c.isprintable() else " " for c in text).rstrip().encode("utf-8", "replace").decode()
