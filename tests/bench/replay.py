"""A server with the part of AMQP that is needed to send delivery frames as fast as they are read, and to read their acks.

usage: python -m tests.bench.replay MESSAGES SIZE RATE      RATE 0: as fast as they are read
prints the port; then, when everything is acknowledged: seconds, and the p50 and p99 of delivery-to-ack in milliseconds
"""

import socket
import struct
import sys
import time
from bisect import bisect_right

from tests.bench.load import bodies, header
from tests.support.wire import frame, long, short

START = frame(
    1,
    0,
    struct.pack(">HHBB", 10, 10, 0, 9)
    + long(b"\x0ccapabilitiesF" + long(b"\x0abasic.nackt\x01"))
    + long(b"PLAIN")
    + long(b"en_US"),
)
TUNE = frame(1, 0, struct.pack(">HHHIH", 10, 30, 2047, 131072, 0))
DECLARED = struct.pack(">HH", 50, 11) + short(b"q") + struct.pack(">II", 0, 0)
ANSWERS = {
    (10, 40): frame(1, 0, struct.pack(">HH", 10, 41) + b"\0"),
    (10, 50): frame(1, 0, struct.pack(">HH", 10, 51)),
    (20, 10): frame(1, 1, struct.pack(">HH", 20, 11) + long(b"")),
    (20, 40): frame(1, 1, struct.pack(">HH", 20, 41)),
    (50, 10): frame(1, 1, DECLARED),
    (60, 10): frame(1, 1, struct.pack(">HH", 60, 11)),
    (60, 20): frame(1, 1, struct.pack(">HH", 60, 21) + short(b"ctag")),
}


def deliveries(count: int, size: int) -> tuple[bytes, list[int]]:
    """The frames of all deliveries, and where each one ends."""
    pieces, ends, at = [], [0], 0
    for serial, body in enumerate(bodies(size, count)):
        method = (
            struct.pack(">HH", 60, 60)
            + short(b"ctag")
            + struct.pack(">QB", serial + 1, 0)
            + short(b"exchange")
            + short(b"a.b")
        )
        content = struct.pack(">HHQ", 60, 0, len(body)) + header(serial)
        raw = frame(1, 1, method) + frame(2, 1, content)
        raw += b"".join(frame(3, 1, body[cut : cut + 131_064]) for cut in range(0, len(body), 131_064))
        pieces.append(raw)
        at += len(raw)
        ends.append(at)
    return b"".join(pieces), ends


class Replay:
    """One connection, from the greeting to the last ack."""

    def __init__(self, connection: socket.socket, raw: bytes, ends: list[int], rate: float) -> None:
        self._connection, self._raw, self._ends, self._rate = connection, memoryview(raw), ends, rate
        self._count = len(ends) - 1
        self._rest = b""
        self._window = self._acked = self._sent_bytes = self._due = 0
        self._due_at: list[float] = []
        self._latencies: list[float] = []
        self._began = 0.0

    def run(self) -> None:
        self._connection.recv(8)
        self._connection.sendall(START)
        self._connection.setblocking(False)
        while self._acked < self._count:
            busy = self._hear()
            busy |= self._began > 0 and self._send()
            if not busy:
                time.sleep(0.00005)
        passed = time.monotonic() - self._began
        ordered = sorted(self._latencies) or [0.0]
        p50, p99 = (ordered[int(len(ordered) * share)] * 1000 for share in (0.5, 0.99))
        print(f"{passed:.6f} {p50:.3f} {p99:.3f}", flush=True)
        self._connection.setblocking(True)
        self._until_closed()

    def _until_closed(self) -> None:
        try:
            while chunk := self._connection.recv(65536):
                self._rest += chunk
                self._frames()
        except OSError:
            pass  # the client has gone, as it should

    def _hear(self) -> bool:
        try:
            chunk = self._connection.recv(65536)
        except BlockingIOError:
            return False
        self._rest += chunk
        self._frames()
        return True

    def _frames(self) -> None:
        while len(self._rest) >= 8:
            end = 8 + int.from_bytes(self._rest[3:7], "big")
            if len(self._rest) < end:
                return
            payload, kind = self._rest[7 : end - 1], self._rest[0]
            self._rest = self._rest[end:]
            if kind == 1:
                self._method(payload)

    def _method(self, payload: bytes) -> None:
        found = struct.unpack_from(">HH", payload)
        if found == (10, 11):
            self._answer(TUNE)
        elif found == (60, 80):
            self._ack(struct.unpack_from(">Q", payload, 4)[0])
        elif found in ANSWERS:
            if found == (60, 10):
                self._window = struct.unpack_from(">H", payload, 8)[0]
            self._answer(ANSWERS[found])
            if found == (60, 20):
                self._began = time.monotonic()

    def _answer(self, raw: bytes) -> None:
        self._connection.setblocking(True)
        self._connection.sendall(raw)
        self._connection.setblocking(False)

    def _ack(self, tag: int) -> None:
        now = time.monotonic()
        if self._rate:
            self._latencies += [now - at for at in self._due_at[self._acked : tag]]
        self._acked = tag

    def _send(self) -> bool:
        """How many deliveries the window and the rate allow."""
        now = time.monotonic()
        allowed = min(self._acked + self._window, self._count)
        if self._rate:
            while self._due < min(allowed, int((now - self._began) * self._rate) + 1):
                self._due_at.append(self._began + self._due / self._rate)
                self._due += 1
            allowed = min(allowed, self._due)
        limit = self._ends[allowed]
        if self._sent_bytes >= limit:
            return False
        try:
            self._sent_bytes += self._connection.send(
                self._raw[self._sent_bytes : min(limit, self._sent_bytes + (1 << 18))]
            )
        except BlockingIOError:
            return False
        return True

    def delivered(self) -> int:
        """How many are on their way or there."""
        return bisect_right(self._ends, self._sent_bytes) - 1


def main() -> None:
    count, size, rate = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    raw, ends = deliveries(count, size)
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        connection, _ = server.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        Replay(connection, raw, ends, rate).run()


if __name__ == "__main__":
    main()
