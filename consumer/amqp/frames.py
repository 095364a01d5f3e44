"""AMQP frames as bytes: the constants of the wire format, and the two frames that Deedbox writes itself.

aiormq hands each frame to a task that writes it. At low rates each message is a batch of its own, and that task costs as much
as archiving the message. So Deedbox writes acks to the socket directly.
Invariant: a frame is written whole, so it can be between two frames that the library writes.
Source: AMQP 0-9-1 sections 1.8.3.13 (basic.ack), 2.3.5 and 4.2.3 (frames).
"""

import struct

METHOD, HEADER, BODY = 1, 2, 3
KINDS = {METHOD, HEADER, BODY, 4, 8}  # 8 is a heartbeat; AMQP 0-9 used 4 for it
END = 0xCE
FRAME = struct.Struct(">BHI")  # kind, channel, payload length
DELIVER = b"\x00\x3c\x00\x3c"  # class basic, method deliver
HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"

_ACK = struct.Struct(">BHIHHQBB")  # kind, channel, payload length, class, method, delivery tag, flags, end
_ACK_LENGTH, _BASIC, _ACK_METHOD = 13, 60, 80


def ack_frame(channel: int, tag: int, multiple: bool) -> bytes:
    """Return a basic.ack for one delivery, or with `multiple` for all deliveries up to and including `tag`."""
    return _ACK.pack(METHOD, channel, _ACK_LENGTH, _BASIC, _ACK_METHOD, tag, multiple, END)
