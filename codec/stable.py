"""What is equal in all deliveries of one message: its header without what the broker changes.

Pure. Source: RabbitMQ's quorum queues, which add `x-delivery-count` and since 4.3 `x-acquired-count`.
"""

from codec.amqp import decode_header, encode_header
from codec.errors import CodecError, TooLarge

_COUNTERS = {"x-delivery-count", "x-acquired-count"}


def _decode_any_depth(raw: bytes) -> dict[str, object]:
    try:
        return decode_header(raw)
    except TooLarge:
        return decode_header(raw, shallow=True)


def stable_header(raw: bytes) -> bytes:
    """The header without what the broker changes from one delivery of a message to the next.

    Two deliveries of one message give equal bytes. RabbitMQ adds `x-delivery-count` (and since 4.3
    `x-acquired-count`) to the headers of a redelivered message of a quorum queue, and sorts them by name when it does.
    A header that cannot be read is given back as it is.
    """
    try:
        properties = _decode_any_depth(raw)
        headers = properties.get("headers")
        if not isinstance(headers, tuple):
            return raw
        kept = (pair for pair in headers if pair[0] not in _COUNTERS)
        properties["headers"] = tuple(sorted(kept, key=lambda pair: pair[0]))
        if not properties["headers"]:
            del properties["headers"]
        return encode_header(properties)
    except CodecError:
        return raw
