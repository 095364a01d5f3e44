"""The frame that acknowledges, as bytes that go to the socket at once.

The library hands each of its frames to a task that writes it; at low rates, when each message is a batch, that costs as much as
archiving it. Invariant: a frame is written whole, so that it may stand between frames of the library.
Source: AMQP 0-9-1 sections 1.8.3.13 (basic.ack) and 4.2.3 (frames).
"""

import struct

_ACK = struct.Struct(">BHIHHQBB")  # kind, channel, length, class, method, delivery tag, flags, end
_METHOD, _LENGTH, _BASIC, _ACK_METHOD, _END = 1, 13, 60, 80, 0xCE


def ack_frame(channel: int, tag: int, multiple: bool) -> bytes:
    """basic.ack of one delivery, or with `multiple` of all up to it."""
    return _ACK.pack(_METHOD, channel, _LENGTH, _BASIC, _ACK_METHOD, tag, multiple, _END)
