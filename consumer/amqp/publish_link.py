"""`PublishLink`: a connection for publishing with one confirming channel.

Role: the library connects, logs in, opens channels, sends heartbeats and closes. Frames of messages are written to the socket directly.
Invariant: after a Closed of the channel or of the connection nothing is written for this channel.
"""

import asyncio
import ssl

import aiormq
from yarl import URL

from consumer.amqp.confirm_reader import ConfirmReader, Sink
from consumer.amqp.errors import LOST, connection_error, raise_if_cancelled, reason_of
from consumer.amqp.publish_frames import PublishFrames
from consumer.amqp.topology import without_password
from consumer.errors import Retry

HEARTBEAT_S = 10
CONNECT_S_MAX = 30.0
CLOSE_S_MAX = 5.0


class _Transport:
    """Opens the library's connection with a `ConfirmReader`. Has the shape of aiormq's `TransportFactory`."""

    def __init__(self, sink: Sink, context: ssl.SSLContext | None) -> None:
        self._sink, self._context = sink, context
        self.writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **_: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Called by the library to connect."""
        loop = asyncio.get_running_loop()
        reader = ConfirmReader(self._sink, loop, loop.time)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        name = url.host if self._context else None
        transport, _protocol = await loop.create_connection(
            lambda: protocol, url.host or "", url.port or 0, ssl=self._context, server_hostname=name
        )
        self.writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        return reader, self.writer


class PublishLink:
    """Opened by `open_link`. `frames`: the frames of the open channel."""

    def __init__(self, connection: aiormq.abc.AbstractConnection, writer: asyncio.StreamWriter, shown: str) -> None:
        self._connection, self._writer, self.shown = connection, writer, shown
        self.channel = 0
        self.frames = PublishFrames(0, 0)

    async def open_channel(self) -> None:
        """Open a channel with confirms. The channel before it is closed. Raises Retry."""
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                channel = await self._connection.channel(publisher_confirms=True)
        except (*LOST, asyncio.CancelledError) as error:
            raise_if_cancelled(error)
            raise Retry(f"{self.shown}: {reason_of(error)}") from error
        self.channel = channel.number
        tune = self._connection.connection_tune
        self.frames = PublishFrames(channel.number, int(tune.frame_max or 0))

    async def write(self, frames: bytes) -> None:
        """Write whole frames. Wait while the socket takes no more. Raises Retry if the connection is lost."""
        self._writer.write(frames)
        try:
            await self._writer.drain()
        except OSError as error:
            raise Retry(f"{self.shown}: {reason_of(error)}") from error

    async def close(self, abort: bool) -> None:
        """Close. `abort`: without a word to the broker, which does not listen or is gone."""
        if abort:
            self._writer.transport.abort()
        try:
            async with asyncio.timeout(CLOSE_S_MAX):
                await self._connection.close()
        except LOST:
            pass  # nothing that was confirmed depends on it
        finally:
            self._writer.transport.abort()


async def open_link(url: str, context: ssl.SSLContext | None, name: str, sink: Sink) -> PublishLink:
    """Connect and open a channel. Raises Fatal if a person must change something, and Retry if a later attempt may succeed."""
    factory = _Transport(sink, context)
    asked = URL(url).update_query(heartbeat=HEARTBEAT_S, name=name)
    try:
        async with asyncio.timeout(CONNECT_S_MAX):
            connection = await aiormq.connect(asked, context=context, transport_factory=factory)
    except TimeoutError as error:
        raise Retry(f"{without_password(url)}: no answer within {CONNECT_S_MAX:.0f} s") from error
    except LOST as error:
        raise connection_error(error, url) from error
    assert factory.writer is not None, "connected"
    link = PublishLink(connection, factory.writer, without_password(url))
    try:
        await link.open_channel()
    except BaseException:
        await link.close(abort=True)
        raise
    return link
