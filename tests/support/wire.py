"""A publisher that puts bytes on the wire as they are: every property, every field type, every oddity.

The libraries encode only the types that they know; these tests must send everything that a broker accepts.
"""

import socket
import struct
from urllib.parse import unquote, urlsplit

from codec.amqp import decode_table

FRAME_MAX = 131_072


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def short(value: bytes) -> bytes:
    return bytes((len(value),)) + value


def long(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def _server(start: bytes) -> str:
    """The broker's name and version, from its first method."""
    size = int.from_bytes(start[6:10], "big")
    properties = {name: field.value for name, field in decode_table(start[6 : 10 + size])}
    return " ".join(bytes(properties[name]).decode() for name in ("product", "version"))


class WirePublisher:
    """A blocking connection with one confirming channel. `server`: the broker's name and version."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        vhost = unquote(parts.path[1:]) or "/"
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 5672), 30)
        self._socket.settimeout(60)
        self._rest = b""
        self._unconfirmed: set[int] = set()  # confirms may come in any order
        self.published = 0
        self._tag = b""
        try:
            self.server = self._log_in(parts.username or "guest", parts.password or "guest", vhost)
        except BaseException:
            self._socket.close()
            raise

    def _log_in(self, user: str, password: str, vhost: str) -> str:
        """Open the connection and the channel. Returns the broker's name and version."""
        self._socket.sendall(b"AMQP\x00\x00\x09\x01")
        server = _server(self._expect(10, 10))
        login = long(b"\x00" + user.encode() + b"\x00" + password.encode())
        self._method(0, 10, 11, long(b"") + short(b"PLAIN") + login + short(b"en_US"))
        self._expect(10, 30)
        self._method(0, 10, 31, struct.pack(">HIH", 1, FRAME_MAX, 0))
        self._method(0, 10, 40, short(vhost.encode()) + b"\x00\x00")
        self._expect(10, 41)
        self._method(1, 20, 10, b"\x00")
        self._expect(20, 11)
        self._method(1, 85, 10, b"\x00")
        self._expect(85, 11)
        return server

    def _method(self, channel: int, klass: int, method: int, arguments: bytes) -> None:
        self._socket.sendall(frame(1, channel, struct.pack(">HH", klass, method) + arguments))

    def _read_frame(self) -> tuple[int, bytes]:
        while len(self._rest) < 7 or len(self._rest) < 8 + int.from_bytes(self._rest[3:7], "big"):
            chunk = self._socket.recv(1 << 16)
            if not chunk:
                raise ConnectionError("the broker closed the connection")
            self._rest += chunk
        end = 8 + int.from_bytes(self._rest[3:7], "big")
        kind, payload = self._rest[0], self._rest[7 : end - 1]
        self._rest = self._rest[end:]
        return kind, payload

    def _expect(self, klass: int, method: int) -> bytes:
        while True:
            kind, payload = self._read_frame()
            found = struct.unpack_from(">HH", payload) if kind == 1 else None
            if found == (klass, method):
                return payload
            if found == (60, 80):
                self._confirm(payload)
            elif kind == 1:
                raise AssertionError(f"{found} with {payload!r} instead of {(klass, method)}")

    def _confirm(self, payload: bytes) -> None:
        tag, multiple = struct.unpack_from(">QB", payload, 4)
        self._unconfirmed -= {one for one in self._unconfirmed if one <= tag} if multiple else {tag}

    def declare(self, queue: str, arguments: bytes = b"", durable: bool = True) -> None:
        """`arguments` is the body of the table."""
        flags = 2 if durable else 0
        self._method(1, 50, 10, b"\x00\x00" + short(queue.encode()) + bytes((flags,)) + long(arguments))
        self._expect(50, 11)

    def declare_exchange(self, exchange: str, kind: str = "topic") -> None:
        self._method(1, 40, 10, b"\x00\x00" + short(exchange.encode()) + short(kind.encode()) + b"\x02" + long(b""))
        self._expect(40, 11)

    def bind(self, queue: str, exchange: str, key: bytes) -> None:
        names = short(queue.encode()) + short(exchange.encode()) + short(key)
        self._method(1, 50, 20, b"\x00\x00" + names + b"\x00" + long(b""))
        self._expect(50, 21)

    def delete(self, queue: str) -> None:
        self._method(1, 50, 40, b"\x00\x00" + short(queue.encode()) + b"\x00")
        self._expect(50, 41)

    def messages(self, queue: str) -> tuple[int, int]:
        """How many messages are ready for delivery in a queue, and how many consumers it has."""
        self._method(1, 50, 10, b"\x00\x00" + short(queue.encode()) + b"\x01" + long(b""))
        reply = self._expect(50, 11)
        ready, consumers = struct.unpack(">II", reply[-8:])
        return ready, consumers

    def delete_exchange(self, exchange: str) -> None:
        self._method(1, 40, 20, b"\x00\x00" + short(exchange.encode()) + b"\x00")
        self._expect(40, 21)

    def get(self, queue: str) -> bytes:
        """The body of the next message, which is not acknowledged: it is redelivered when this connection ends."""
        return self.get_message(queue)[1]

    def get_message(self, queue: str) -> tuple[bytes, bytes]:
        """Content header and body of the next message, which is not acknowledged."""
        self._method(1, 60, 70, b"\x00\x00" + short(queue.encode()) + b"\x00")
        self._tag = self._expect(60, 71)[4:12]
        _, header = self._read_frame()
        size = struct.unpack_from(">Q", header, 4)[0]
        body = b""
        while len(body) < size:
            body += self._read_frame()[1]
        return header[12:], body

    def bodies(self, queue: str) -> set[bytes]:
        """The different bodies of all messages that are ready in a queue."""
        return {self.get(queue) for _ in range(self.messages(queue)[0])}

    def reject(self, requeue: bool = False) -> None:
        """Reject the message that `get` returned last."""
        self._method(1, 60, 90, self._tag + bytes((requeue,)))

    def consume(self, queue: str, prefetch: int) -> None:
        """Consume up to `prefetch` messages, which are never acknowledged. Nothing else can be done on this connection afterwards."""
        self._method(1, 60, 10, struct.pack(">IH", 0, prefetch) + b"\x00")
        self._expect(60, 11)
        self._method(1, 60, 20, b"\x00\x00" + short(queue.encode()) + short(b"") + b"\x00" + long(b""))
        self._expect(60, 21)

    def publish(self, exchange: bytes, key: bytes, header: bytes, body: bytes) -> None:
        """`header` from the property flags on. Does not wait for the confirm."""
        deliver = struct.pack(">HH", 60, 40) + b"\x00\x00" + short(exchange) + short(key) + b"\x00"
        content = struct.pack(">HHQ", 60, 0, len(body)) + header
        step = FRAME_MAX - 8
        pieces = [frame(3, 1, body[at : at + step]) for at in range(0, len(body), step)]
        self._socket.sendall(b"".join([frame(1, 1, deliver), frame(2, 1, content), *pieces]))
        self.published += 1
        self._unconfirmed.add(self.published)

    def wait_for_confirms(self, behind: int = 0) -> None:
        """Until all but `behind` publishes are confirmed."""
        while len(self._unconfirmed) > behind:
            kind, payload = self._read_frame()
            found = struct.unpack_from(">HH", payload) if kind == 1 else None
            if found == (60, 80):
                self._confirm(payload)
            elif found is not None:
                raise AssertionError(f"{found} with {payload!r} instead of a confirm")

    def close(self) -> None:
        self._socket.close()
