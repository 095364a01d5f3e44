import asyncio

import pamqp.frame
import pytest
from pamqp import commands as spec

from consumer.amqp.confirm_reader import ConfirmReader
from consumer.amqp.confirm_splitter import Answer, Closed, Confirm
from consumer.amqp.frames import HEARTBEAT
from tests.support.answers import frames_of

ACK = Confirm(1, 1, True, True)
OTHER = pamqp.frame.marshal(spec.Confirm.SelectOk(), 1)


@pytest.fixture
def taken() -> list[Answer]:
    return []


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def reader(taken: list[Answer], clock: Clock) -> ConfirmReader:
    return ConfirmReader(taken.extend, asyncio.get_running_loop(), clock)


async def test_the_library_gets_every_frame_that_is_not_an_answer(reader: ConfirmReader, taken: list[Answer]) -> None:
    reader.feed_data(OTHER + frames_of(ACK)[0] + OTHER)
    assert await reader.readexactly(2 * len(OTHER)) == 2 * OTHER
    assert taken == [ACK]


async def test_confirms_give_the_library_a_heartbeat(reader: ConfirmReader, clock: Clock) -> None:
    """While confirms flow the broker sends no heartbeats. The library would close the connection."""
    reader.feed_data(frames_of(ACK)[0])
    clock.now += 2
    reader.feed_data(frames_of(ACK)[0])
    assert await reader.readexactly(8) == HEARTBEAT
    reader.feed_data(frames_of(ACK)[0] + OTHER)
    assert await reader.readexactly(len(OTHER)) == OTHER


async def test_the_end_of_the_stream_is_reported_once(reader: ConfirmReader, taken: list[Answer]) -> None:
    reader.set_exception(ConnectionResetError(104, "reset"))
    reader.feed_eof()
    assert taken == [Closed(0, 0, "[Errno 104] reset")]


async def test_after_the_end_of_the_stream_no_heartbeat_is_added(
    reader: ConfirmReader, taken: list[Answer], clock: Clock
) -> None:
    reader.feed_eof()
    clock.now += 2
    reader.feed_data(frames_of(ACK)[0])
    assert await reader.read(100) == b""
    assert taken == [Closed(0, 0, "the connection was closed"), ACK]


async def test_a_broken_stream_gets_no_heartbeat(reader: ConfirmReader, clock: Clock) -> None:
    reader.feed_data(b"HTTP/1.1 400 Bad Request\r\n")
    clock.now += 2
    reader.feed_data(b"")
    assert await reader.read(100) == b"HTTP/1.1 400 Bad Request\r\n"


async def test_a_detached_reader_gives_nothing_more(reader: ConfirmReader, taken: list[Answer]) -> None:
    """Its connection is closed, and its end is not the end of the next connection."""
    reader.detach()
    reader.feed_data(frames_of(ACK)[0])
    reader.feed_eof()
    assert taken == []
