"""`PublishLink`: a connection for publishing with one confirming channel.

Role: the library connects, logs in, opens channels, sends heartbeats and closes. Frames of messages are written to the socket directly.
Invariant: a link that is closed gives its sink nothing more.
"""

import asyncio
import ssl

import aiormq
from aiormq.abc import AbstractConnection
from yarl import URL

from consumer.amqp.confirm_reader import ConfirmReader, Sink
from consumer.amqp.errors import LOST, connection_error, raise_if_cancelled, reason_of
from consumer.amqp.publish_frames import PublishFrames
from consumer.amqp.topology import without_password
from consumer.amqp.transport import Transport, library_accepts_transport
from consumer.errors import Exit, Fatal, Retry

HEARTBEAT_S = 10  # the library gives up after three missed heartbeats
CONNECT_S_MAX = 30.0
CLOSE_S_MAX = 5.0


class PublishLink:
    """Opened by `open_link`. `shown`: the URL without the password. `frames`: those of the open channel."""

    def __init__(
        self, connection: AbstractConnection, reader: ConfirmReader, writer: asyncio.StreamWriter, shown: str
    ) -> None:
        self._connection, self._reader, self._writer, self.shown = connection, reader, writer, shown
        self.frames = PublishFrames(0, 0)

    async def open_channel(self) -> None:
        """Open a channel with confirms. The channel before it is closed. Raises Retry."""
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                channel = await self._connection.channel(publisher_confirms=True)
        except (*LOST, asyncio.CancelledError) as error:
            raise_if_cancelled(error)
            raise Retry(f"{self.shown}: {reason_of(error)}") from error
        self.frames = PublishFrames(channel.number, int(self._connection.connection_tune.frame_max or 0))

    async def write(self, frames: bytes) -> None:
        """Write whole frames. Wait while the socket takes no more. Raises Retry if the connection is lost."""
        self._writer.write(frames)
        try:
            await self._writer.drain()
        except OSError as error:
            raise Retry(f"{self.shown}: {reason_of(error)}") from error

    async def close(self, abort: bool) -> None:
        """Close. `abort`: without waiting for the broker, which does not read or is gone."""
        self._reader.detach()
        if abort:
            self._writer.transport.abort()
        try:
            async with asyncio.timeout(CLOSE_S_MAX):
                await self._connection.close()
        except LOST:
            pass  # the broker has what it confirmed
        finally:
            self._writer.transport.abort()


async def open_link(url: str, context: ssl.SSLContext | None, name: str, sink: Sink) -> PublishLink:
    """Connect and open a channel. Raises Fatal if a person must change something, and Retry if a later attempt may succeed."""
    if not library_accepts_transport():
        what = "this version of the library aiormq does not let Deedbox publish"
        raise Fatal(Exit.SETTINGS, what, "install the version that requirements.lock names")
    transport = Transport(lambda loop: ConfirmReader(sink, loop, loop.time), context)
    asked = URL(url).update_query(heartbeat=HEARTBEAT_S, name=name)
    try:
        async with asyncio.timeout(CONNECT_S_MAX):
            connection = await aiormq.connect(asked, transport_factory=transport)
    except TimeoutError as error:
        raise Retry(f"{without_password(url)}: no answer within {CONNECT_S_MAX:.0f} s") from error
    except LOST as error:
        raise connection_error(error, url) from error
    assert transport.reader is not None, "connected"
    assert transport.writer is not None, "connected"
    link = PublishLink(connection, transport.reader, transport.writer, without_password(url))
    try:
        await link.open_channel()
    except BaseException:
        await link.close(abort=True)
        raise
    return link
