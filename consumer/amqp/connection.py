"""`Broker`: connects, declares, and opens sessions.

Invariant: `Broker.open` returns a session whose queue is declared, or it closes the connection and raises.
Source: AMQP 0-9-1; aiormq's `TransportFactory`.
"""

import asyncio
from importlib.metadata import version

import aio_pika
from aio_pika.abc import ConnectionParameter
from yarl import URL

from consumer import log
from consumer.amqp import log_events
from consumer.amqp.declare import declare
from consumer.amqp.errors import LOST, connection_error, reason_of
from consumer.amqp.receive import DeliveryReader, Sink, detached_reader
from consumer.amqp.session import CLOSE_S_MAX, Session
from consumer.amqp.tls import tls_context
from consumer.amqp.topology import Topology, without_password
from consumer.amqp.transport import Transport, library_accepts_transport
from consumer.errors import DeedboxError, Retry

HEARTBEAT_S = 10  # the library gives up after three missed heartbeats; its default of 60 s would mean three minutes
CONNECT_S_MAX = 30.0


class _Connection(aio_pika.Connection):
    PARAMETERS = (
        *aio_pika.Connection.PARAMETERS,
        ConnectionParameter(name="transport_factory", parser=lambda factory: factory, is_kwarg=True),
    )


class Broker:
    """Opens sessions, one after the other, each on a connection of its own."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self.shown = without_password(topology.url)
        self.sessions = 0  # how many sessions were opened

    async def open(self, sink: Sink) -> Session:
        """Connect and declare. Deliveries go to `sink` once `consume` of the session is called.

        Raises Fatal if a person must change something, and Retry if a later attempt may succeed.
        """
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                return await self._open(sink)
        except TimeoutError as error:
            raise Retry(f"{self.shown}: no answer within {CONNECT_S_MAX:.0f} s") from error

    async def _open(self, sink: Sink) -> Session:
        factory = Transport(lambda loop: DeliveryReader(sink, loop), tls_context(self._topology))
        connection = await self._connect(factory)
        try:
            channel = connection.channel(publisher_confirms=False)
            await channel.initialize()
            queue = await declare(connection, channel, self._topology)
            underlay = await channel.get_underlay_channel()
        except BaseException as error:
            await _close_quietly(connection)
            if isinstance(error, DeedboxError) or not isinstance(error, LOST):
                raise
            raise Retry(f"connection lost while declaring: {reason_of(error)}") from error
        self.sessions += 1
        reader = factory.reader
        if reader is None:
            log.emit(log_events.RECEIVE_FALLBACK, library=f"aiormq {version('aiormq')}")
            reader = detached_reader(sink)
        session = Session(connection, reader, sink, underlay, queue, self.sessions, self._topology)
        session.writer = factory.writer
        return session

    async def _connect(self, factory: Transport[DeliveryReader]) -> _Connection:
        url = URL(self._topology.url).update_query(heartbeat=HEARTBEAT_S, name=self._topology.name)
        extra = (
            {"transport_factory": factory}
            if library_accepts_transport()
            else {"ssl_context": tls_context(self._topology)}
        )
        connection = _Connection(url, **extra)
        try:
            await connection.connect()
        except LOST as error:
            raise connection_error(error, self._topology.url) from error
        return connection


async def _close_quietly(connection: _Connection) -> None:
    try:
        async with asyncio.timeout(CLOSE_S_MAX):
            await connection.close()
    except LOST:
        pass  # the first error is the one to report
