"""A line of a watched file as a message, with where the line stood.

Invariant: the same line has the same message id in every life of `watch`, and no other line has it.
"""

import os
import socket
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from consumer.amqp.publish import Message
from consumer.watch.lines import Line


class Messages:
    """To one exchange, with one routing key, from this host."""

    def __init__(self, exchange: str, routing_key: str) -> None:
        self._exchange, self._routing_key = exchange, routing_key
        self._host = socket.gethostname()

    def of(self, line: Line, path: Path) -> Message:
        """A line of this watched path, or a piece of one."""
        headers: dict[str, object] = {"host": self._host, "path": shown(path), "position": line.offset}
        if line.piece is not None:
            headers |= {
                "line": self._id(path, line.content_id, line.start, "line"),
                "piece": line.piece,
                "last_piece": line.last,
            }
        id = self._id(path, line.content_id, line.offset)
        properties = {"delivery_mode": 2, "message_id": id, "headers": headers}
        return Message(self._exchange, self._routing_key, line.text, properties)

    def _id(self, path: Path, content_id: str, offset: int, kind: str = "") -> str:
        """The name of a place in one life of a file: an inode and a path are used again, a content_id is not."""
        return str(uuid5(NAMESPACE_URL, f"{self._host}:{shown(path)}:{content_id}:{offset}{kind}"))


def shown(path: Path) -> str:
    """A path as text, whatever bytes its name has."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
