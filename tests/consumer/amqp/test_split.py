"""The base of both splitters. What each takes is tested with it."""

import struct

import pamqp.frame
from pamqp import commands as spec

from consumer.amqp.frames import BODY, HEADER
from consumer.amqp.split import Content, FrameSplitter


class _Evens(FrameSplitter):
    """Takes the frames of even channels."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[int] = []

    def take_run(self, _data: bytes, at: int, _size: int) -> int:
        return at

    def take_frame(self, _kind: int, channel: int, frame: bytes) -> bytes:
        if channel % 2:
            return frame
        self.taken.append(channel)
        return b""


def test_taken_frames_are_removed_and_the_others_keep_their_order() -> None:
    frames = [pamqp.frame.marshal(spec.Channel.OpenOk(), channel) for channel in range(1, 7)]
    raw = b"".join(frames)
    for step in (1, 3, len(raw)):
        splitter = _Evens()
        others = b"".join(splitter.split(raw[at : at + step]) for at in range(0, len(raw), step))
        assert (splitter.taken, others) == ([2, 4, 6], frames[0] + frames[2] + frames[4])


def test_after_bytes_that_are_no_frame_everything_is_passed_on() -> None:
    splitter = _Evens()
    frame = pamqp.frame.marshal(spec.Channel.OpenOk(), 2)
    assert splitter.split(frame + b"HTTP/1.1 400") == b"HTTP/1.1 400"
    assert splitter.passthrough
    assert splitter.split(frame) == frame


def test_content_is_complete_with_its_last_byte() -> None:
    content = Content()
    assert not content.take(HEADER, struct.pack(">HHQ", 60, 0, 5) + b"\x00\x00")
    assert not content.take(BODY, b"abc")
    assert content.take(BODY, b"de")
    assert (content.header, content.body) == (b"\x00\x00", b"abcde")
    assert Content().take(HEADER, struct.pack(">HHQ", 60, 0, 0))
