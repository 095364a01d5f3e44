"""The fingerprint of an event: a short text that shows whether two reads found the same event.

Pure. Invariant: a fingerprint depends on the event alone. Merging batches, repair and a newer format of records do not change it.
It guards against mistakes, not against an attacker.
"""

import struct

from xxhash import xxh3_64

from codec.event import Event

_SIZE = struct.Struct("<Q")


def fingerprint(event: Event) -> str:
    """16 hexadecimal digits over all fields of the event except its duplicate mark."""
    digest = xxh3_64()
    times = b"%d %d" % (event.time_us, event.arrived_us)
    texts = (event.id, event.type, event.exchange, event.routing_key, *event.tags)
    for part in (*(text.encode("utf-8", "surrogatepass") for text in texts), times, event.header, event.body):
        digest.update(_SIZE.pack(len(part)))  # without the sizes, "ab" and "c" would equal "a" and "bc"
        digest.update(part)
    return digest.hexdigest()
