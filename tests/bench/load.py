"""Messages of the benchmark, and queues filled with them."""

import hashlib
import sys
from collections.abc import Iterator

from codec.amqp import encode_header
from consumer.demo.notifications import notifications
from tests.support.wire import WirePublisher


def bodies(size: int, count: int) -> Iterator[bytes]:
    """JSON bodies of about that size, half of each hard to compress; 2300 gives notifications."""
    if size == 2300:
        yield from (found.body for found in notifications(count))
        return
    for serial in range(count):
        head = b'{"event_type":"compute.instance.update","instance_id":"%032x","n":%d,"pad":"' % (serial * 7919, serial)
        noise = hashlib.sha256(b"%d" % serial).hexdigest().encode() * (size // 128 + 1)
        plain = b"abcdefghijklmnopqrstuvwxyz012345" * (size // 64 + 1)
        yield (head + noise[: size // 2] + plain)[: max(size, len(head) + 2) - 2] + b'"}'


def header(serial: int) -> bytes:
    """A persistent message with an id."""
    properties = {
        "content_type": "application/json",
        "delivery_mode": 2,
        "message_id": f"0b9b2b6e-ffff-4c4e-8ddc-{serial:012x}",
    }
    return encode_header(properties)


def declare(publisher: WirePublisher, queue: str, queue_type: str) -> None:
    """The queue; classic ones are declared without a type."""
    arguments = b"\x0cx-queue-typeS\0\0\0\x06quorum" if queue_type == "quorum" else b""
    publisher.declare(queue, arguments)


def fill(publisher: WirePublisher, queue: str, size: int, count: int) -> None:
    """Publish this number of persistent messages, all confirmed."""
    for serial, body in enumerate(bodies(size, count)):
        publisher.publish(b"", queue.encode(), header(serial), body)
        if serial % 200 == 0:
            publisher.wait_for_confirms(behind=5000)
    publisher.wait_for_confirms()


def main() -> None:
    """Publish to a queue that exists: URL QUEUE SIZE COUNT."""
    url, queue, size, count = sys.argv[1:]
    publisher = WirePublisher(url)
    fill(publisher, queue, int(size), int(count))
    publisher.close()


if __name__ == "__main__":
    main()
