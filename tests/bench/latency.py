"""From a publish through RabbitMQ to the ack of a durable message.

Role: `AckTap` is between Deedbox and the broker, forwards every byte, and records the time of each acknowledgement. Its cost counts
as a cost of Deedbox. Message n of an empty classic queue with one consumer has delivery tag n. A publish counts from the time at which
it was due, so the delay of a late publisher counts too.
usage: python -m tests.bench.latency URL QUEUE RATE COUNT       publishes at that rate; prints when it began (monotonic)
"""

import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from urllib.parse import urlsplit

from consumer.demo.node import Node
from tests.bench.contestants import cores
from tests.bench.load import bodies, declare, header
from tests.support.process import Deedbox
from tests.support.wire import WirePublisher

_ACK = struct.pack(">HH", 60, 80)


class AckTap:
    """A port that leads to the broker; `acked` holds (monotonic time, delivery tag) of each ack."""

    def __init__(self, port: int) -> None:
        self.acked: list[tuple[float, int]] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._broker = port
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return  # closed
            broker = socket.create_connection(("127.0.0.1", self._broker))
            for end in (client, broker):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._pass, args=(broker, client), daemon=True).start()
            threading.Thread(target=self._watch, args=(client, broker), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while chunk := source.recv(1 << 18):
                target.sendall(chunk)
        except OSError:
            pass  # either end has gone
        target.close()

    def _watch(self, source: socket.socket, target: socket.socket) -> None:
        rest = b""
        greeted = False
        try:
            while chunk := source.recv(1 << 16):
                now = time.monotonic()
                target.sendall(chunk)
                rest += chunk
                if not greeted and len(rest) >= 8:
                    greeted, rest = True, rest[8:]  # AMQP and its version
                rest = self._frames(rest, now) if greeted else rest
        except OSError:
            pass  # either end has gone
        target.close()

    def _frames(self, raw: bytes, now: float) -> bytes:
        while len(raw) >= 8 and len(raw) >= (end := 8 + int.from_bytes(raw[3:7], "big")):
            if raw[0] == 1 and raw[7:11] == _ACK:
                self.acked.append((now, int.from_bytes(raw[11:19], "big")))
            raw = raw[end:]
        return raw

    def close(self) -> None:
        self._server.close()


def latency(node: Node, rate: int, count: int) -> tuple[float, float]:
    """The p50 and p99 in milliseconds."""
    queue = f"bench-{uuid.uuid4().hex[:8]}"
    publisher = WirePublisher(node.url)
    declare(publisher, queue, "classic")
    tap = AckTap(node.port)
    url = urlsplit(node.url)._replace(netloc=f"guest:guest@127.0.0.1:{tap.port}").geturl()
    with tempfile.TemporaryDirectory() as directory, cores(1):
        arguments = ("--url", url, "--queue", queue, "--set", "broker.queue_type=classic")
        with Deedbox(Path(directory) / "archive", *arguments) as deedbox:
            deedbox.wait_for("consuming")
            with cores(0):
                command = [sys.executable, "-m", "tests.bench.latency", node.url, queue, str(rate), str(count)]
                began = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            deedbox.wait_until(lambda: tap.acked and tap.acked[-1][1] == count, f"{count} acknowledged")
            deedbox.stop()
    tap.close()
    publisher.delete(queue)
    publisher.close()
    return _quantiles(tap.acked, began, rate)


def _quantiles(acked: list[tuple[float, int]], began: float, rate: int) -> tuple[float, float]:
    taken, known = [], 0
    for at, tag in acked:
        taken += [at - (began + serial / rate) for serial in range(known, tag)]
        known = max(known, tag)
    taken.sort()
    return taken[len(taken) // 2] * 1000, taken[len(taken) * 99 // 100] * 1000


def main() -> None:
    """Publish at a rate."""
    url, queue, rate, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    publisher = WirePublisher(url)
    ready = list(bodies(415, count))
    began = time.monotonic()
    for serial, body in enumerate(ready):
        while (ahead := began + serial / rate - time.monotonic()) > 0:
            time.sleep(ahead)
        publisher.publish(b"", queue.encode(), header(serial), body)
        publisher.wait_for_confirms(behind=20_000)
    publisher.wait_for_confirms()
    publisher.close()
    print(began)


if __name__ == "__main__":
    main()
