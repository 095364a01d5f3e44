"""The part of a header that is equal in all deliveries of one message.

Pure. Source: RabbitMQ's quorum queues add `x-delivery-count` and, since version 4.3, `x-acquired-count`.
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
    """The header without the counters that the broker changes between deliveries of a message.

    Two deliveries of one message give equal bytes. When a quorum queue redelivers a message, RabbitMQ adds its counters to
    the headers and sorts the headers by name. If the header cannot be decoded, it is returned unchanged.
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
