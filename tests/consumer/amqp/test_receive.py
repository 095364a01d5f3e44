import asyncio
from random import Random

import pamqp.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands as spec
from pamqp.body import ContentBody
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from consumer.amqp.delivery import Delivery
from consumer.amqp.frames import HEARTBEAT
from consumer.amqp.read_gate import PAUSE_S_MAX, PAUSE_S_MIN
from consumer.amqp.receive import FULL_READ_BYTES, DeliveryReader, Splitter
from tests.support.cutting import cut
from tests.support.deliveries import delivery, frames
from tests.support.transport import Transport

names = st.binary(max_size=60).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
deliveries = st.builds(
    Delivery, st.integers(1, (1 << 64) - 1), st.booleans(), names, names, st.binary(max_size=300).map(lambda raw: b"\x00\x00" + raw),
    st.binary(max_size=9000), st.just(5),
)  # fmt: skip
OTHERS = [
    pamqp.frame.marshal(spec.Basic.QosOk(), 1),
    pamqp.frame.marshal(spec.Channel.OpenOk(), 2),
    pamqp.frame.marshal(Heartbeat(), 0),
    pamqp.frame.marshal(spec.Connection.Blocked("memory"), 0),
]


def split(pieces: list[bytes]) -> tuple[list[Delivery], bytes]:
    splitter, found, others = Splitter(), [], b""
    for piece in pieces:
        some, rest = splitter.feed(piece, 5)
        found += some
        others += rest
    return found, others


@given(st.lists(deliveries | st.sampled_from(OTHERS), max_size=12), st.randoms(use_true_random=False))
def test_the_same_bytes_cut_anywhere_give_the_same_deliveries(sent: list[Delivery | bytes], random: Random) -> None:
    raw = b"".join(b"".join(frames(one)) if isinstance(one, Delivery) else one for one in sent)
    found, others = split(cut(raw, random))
    assert found == [one for one in sent if isinstance(one, Delivery)]
    assert others == b"".join(one for one in sent if isinstance(one, bytes))


@given(
    st.lists(st.tuples(deliveries, st.sampled_from([b"", b"c", b"ctag", b"another consumer"])), max_size=12),
    st.randoms(use_true_random=False),
)
def test_deliveries_of_two_consumers_may_alternate(sent: list[tuple[Delivery, bytes]], random: Random) -> None:
    """The fast path expects a consumer tag of the same length as before. Another tag must not confuse it."""
    raw = b"".join(b"".join(frames(one, consumer=consumer)) for one, consumer in sent)
    assert split(cut(raw, random)) == ([one for one, _ in sent], b"")


@given(st.lists(deliveries, min_size=2, max_size=2), st.randoms(use_true_random=False))
def test_deliveries_of_several_channels_may_interleave(sent: list[Delivery], random: Random) -> None:
    queues = [frames(one, channel) for channel, one in enumerate(sent, 1)]
    raw = b""
    while any(queues):
        raw += random.choice([queue for queue in queues if queue]).pop(0)
    found, others = split(cut(raw, random))
    assert sorted(found) == sorted(sent)
    assert others == b""


@given(st.lists(st.sampled_from(OTHERS) | st.binary(max_size=50), max_size=8), st.randoms(use_true_random=False))
def test_every_other_byte_is_passed_on_unchanged(chunks: list[bytes], random: Random) -> None:
    """Bytes that are not a delivery reach the library unchanged, even if they are not AMQP."""
    raw = b"".join(chunks)
    splitter, others = Splitter(), b""
    for piece in cut(raw, random):
        found, rest = splitter.feed(piece, 5)
        others += rest
        assert not found
    assert raw.startswith(others)
    assert splitter.passthrough or len(raw) - len(others) < 1 << 17


def test_frames_written_by_pamqp_are_read() -> None:
    """The library encodes, Deedbox decodes."""
    properties = spec.Basic.Properties(content_type="text/plain", message_id="id", headers={"a": [1, {"b": True}]})
    body = b"x" * 5000
    raw = b"".join(
        pamqp.frame.marshal(value, 3)
        for value in (spec.Basic.Deliver("ctag", 77, True, "ex", "rk"), ContentHeader(0, len(body), properties), ContentBody(body[:4000]), ContentBody(body[4000:]))
    )  # fmt: skip
    (found,), others = split([raw])
    assert others == b""
    assert found == Delivery(77, True, "ex", "rk", properties.marshal(), body, 5)


def test_the_content_of_basic_return_is_passed_on() -> None:
    raw = b"".join(
        pamqp.frame.marshal(value, 3)
        for value in (
            spec.Basic.Return(312, "NO_ROUTE", "ex", "rk"),
            ContentHeader(0, 4, spec.Basic.Properties()),
            ContentBody(b"body"),
        )
    )
    assert split([raw]) == ([], raw)


def test_an_empty_body_has_no_body_frame() -> None:
    assert split(frames(delivery(1, b"")))[0] == [delivery(1, b"", arrived_us=5)]


@pytest.fixture
def taken() -> list[Delivery]:
    return []


@pytest.fixture
async def reader(taken: list[Delivery]) -> DeliveryReader:
    return DeliveryReader(lambda found, _: taken.extend(found), asyncio.get_running_loop())


async def test_the_library_gets_every_frame_that_is_not_a_delivery(
    reader: DeliveryReader, taken: list[Delivery]
) -> None:
    reader.feed_data(OTHERS[0] + b"".join(frames(delivery(1))) + OTHERS[1])
    assert await reader.readexactly(len(OTHERS[0] + OTHERS[1])) == OTHERS[0] + OTHERS[1]
    assert [found.tag for found in taken] == [1]


async def test_a_delivery_gives_the_library_a_heartbeat(reader: DeliveryReader, taken: list[Delivery]) -> None:
    """While deliveries flow the broker sends no heartbeats. The library would close the connection."""
    reader._last_keepalive -= 2
    reader.feed_data(b"".join(frames(delivery(1))))
    assert await reader.readexactly(8) == HEARTBEAT
    reader.feed_data(b"".join(frames(delivery(2))) + OTHERS[0])
    assert await reader.readexactly(len(OTHERS[0])) == OTHERS[0]


async def test_a_broken_stream_gets_no_heartbeat(reader: DeliveryReader) -> None:
    reader.feed_data(b"HTTP/1.1 400 Bad Request\r\n")
    reader._last_keepalive -= 2
    reader.keepalive()
    assert await reader.read(100) == b"HTTP/1.1 400 Bad Request\r\n"


async def test_pause_and_resume_apply_to_the_socket(taken: list[Delivery]) -> None:
    """Back-pressure: messages that are not read stay at the broker and use no memory."""
    served = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(frames(delivery(1))))
        await served.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    loop = asyncio.get_running_loop()
    reader = DeliveryReader(lambda found, _: taken.extend(found), loop)
    host, port = server.sockets[0].getsockname()[:2]
    transport, _ = await loop.create_connection(lambda: asyncio.StreamReaderProtocol(reader, loop=loop), host, port)
    reader.pause()
    await asyncio.sleep(0.05)
    paused = list(taken)
    reader.resume()
    while not taken:
        await asyncio.sleep(0.001)
    assert (paused, [found.tag for found in taken]) == ([], [1])
    transport.close()
    reader.pause()
    reader.resume()
    served.set()
    server.close()
    await server.wait_closed()


async def test_a_read_that_drained_the_socket_is_followed_by_a_pause() -> None:
    """Waking up for each message costs more than archiving it. After a full read more bytes are waiting."""
    drained: list[bool] = []
    reader, transport = DeliveryReader(lambda _, last: drained.append(last), asyncio.get_running_loop()), Transport()
    reader.set_transport(transport)
    large = delivery(2, b"x" * FULL_READ_BYTES)
    reader.feed_data(b"".join(frames(large)))
    assert (drained, transport.reads) == ([False], True)
    reader.feed_data(OTHERS[0])
    assert transport.reads
    reader._last_drained = reader._clock()
    reader.feed_data(b"".join(frames(delivery(1))))
    assert (drained, transport.reads) == ([False, True], False)
    while not transport.reads:
        await asyncio.sleep(0)


async def test_the_end_of_one_pause_does_not_end_another(reader: DeliveryReader) -> None:
    transport = Transport()
    reader.set_transport(transport)
    for tag in (1, 2):
        reader.feed_data(b"".join(frames(delivery(tag))))
    reader.pause()
    reader.resume()
    assert not transport.reads, "the pause between reads continues"
    reader.pause()
    await asyncio.sleep(2 * PAUSE_S_MIN)
    assert not transport.reads, "the bound on held bytes is still reached"
    reader.resume()
    while not transport.reads:
        await asyncio.sleep(0)


async def test_the_library_can_read_its_buffer_while_the_socket_stays_paused(reader: DeliveryReader) -> None:
    """After its own pause, the base class resumes the transport in its next read. That must not end another pause."""
    transport = Transport()
    reader.set_transport(transport)
    reader.pause()
    reader._last_keepalive -= 2
    reader.keepalive()
    assert await reader.readexactly(8) == HEARTBEAT
    waiting = asyncio.create_task(reader.readexactly(8))
    await asyncio.sleep(0)
    assert not transport.reads, "a waiting read has ended the pause"
    reader.resume()
    assert transport.reads
    waiting.cancel()


async def test_a_full_library_buffer_pauses_the_socket_until_it_is_read() -> None:
    reader, transport = DeliveryReader(lambda _found, _last: None, asyncio.get_running_loop()), Transport()
    reader.set_transport(transport)
    reader.feed_data(OTHERS[0] * (200_000 // len(OTHERS[0])))
    assert not transport.reads
    reader.pause()
    reader.resume()
    assert not transport.reads, "the pause of the library is still in force"
    await reader.read(200_000)
    assert transport.reads


async def test_each_part_of_a_large_body_gives_the_library_a_heartbeat(reader: DeliveryReader) -> None:
    """While one large body arrives the broker sends nothing else. The library would close the connection after 33 s."""
    pieces = frames(delivery(1, b"x" * 20_000))
    for piece in pieces[:-1]:
        reader._last_keepalive -= 2
        reader.feed_data(piece)
        assert await reader.readexactly(8) == HEARTBEAT
    assert reader.last_content > 0


async def test_after_the_end_of_the_stream_no_heartbeat_is_added(reader: DeliveryReader) -> None:
    reader.feed_data(OTHERS[0])
    reader.feed_eof()
    reader._last_keepalive -= 2
    reader.keepalive()
    assert await reader.read(100) == OTHERS[0]


async def test_a_rare_message_is_followed_by_no_pause(reader: DeliveryReader) -> None:
    transport = Transport()
    reader.set_transport(transport)
    reader.feed_data(b"".join(frames(delivery(1))))
    assert transport.reads
    reader._last_drained -= 2 * PAUSE_S_MAX
    reader.feed_data(b"".join(frames(delivery(2))))
    assert transport.reads
    reader.feed_data(b"".join(frames(delivery(3))))
    assert not transport.reads
