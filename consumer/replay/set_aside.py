"""The record of the events that the mirror went on without: `followers/NAME.set-aside` in the archive directory.

Invariant: a line is durable before the checkpoint passes its event. The file is only appended to. Empty lines and a line that a crash cut
off are possible; a reader leaves them out. One JSON object a line: position, id, exchange, routing_key, reason, and the time of the record.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from consumer.disk.durable import Disk
from consumer.errors import DeedboxError
from consumer.follow.checkpoint import DIRECTORY
from consumer.query.search import Found

SUFFIX = ".set-aside"


def set_aside_path(directory: Path, name: str) -> Path:
    """The file of one mirror of an archive directory."""
    return directory / DIRECTORY / f"{name}{SUFFIX}"


def record(disk: Disk, path: Path, events: Sequence[tuple[Found, str]]) -> None:
    """Add events and the reasons, durably. The folder exists. Raises DeedboxError."""
    time = datetime.now(UTC).isoformat(timespec="seconds")
    lines = b"".join(msgspec.json.encode(_line(found, reason, time)) + b"\n" for found, reason in events)
    try:
        if not path.exists():
            disk.replace(path, lines)
            return
        fd = disk.open(path)
        try:
            disk.append(fd, b"\n" + lines)  # a crash may have cut off the last line
            disk.sync(fd)
        finally:
            disk.close(fd)
    except OSError as error:
        raise DeedboxError(f"{path}: {error.strerror or error}", "free space, or make it writable") from error


def _line(found: Found, reason: str, time: str) -> dict[str, str]:
    event = found.event
    fields = {
        "position": found.position,
        "id": event.id,
        "exchange": event.exchange,
        "routing_key": event.routing_key,
        "reason": reason,
        "recorded": time,
    }
    return {name: value.encode("utf-8", "backslashreplace").decode() for name, value in fields.items()}
