"""Lines of watched files as messages, with the place of the line in the headers.

Invariant: the same line has the same message id in every run of `watch`, and no other line has it.
"""

import os
import socket
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from consumer.amqp.publish import Message
from consumer.watch.lines import Line


class LineMessages:
    """Messages to one exchange, with one routing key, from this host."""

    def __init__(self, exchange: str, routing_key: str) -> None:
        self._exchange, self._routing_key = exchange, routing_key
        self._host = socket.gethostname()

    def of(self, line: Line, path: Path) -> Message:
        """The message of a line of this path, or of a piece of one."""
        headers: dict[str, object] = {"host": self._host, "path": display_path(path), "position": line.offset}
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
        """A UUID of a place in the content of a file. Inodes and paths are reused; a content id is not."""
        return str(uuid5(NAMESPACE_URL, f"{self._host}:{display_path(path)}:{content_id}:{offset}{kind}"))


def display_path(path: Path) -> str:
    """A path as text; bytes that are not UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
