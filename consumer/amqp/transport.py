"""`Transport`: opens the library's connections with a stream reader of Deedbox.

Role: the library connects through it, so that Deedbox takes frames out of the byte stream and writes frames of its own.
Source: aiormq's `TransportFactory`.
"""

import asyncio
import inspect
import ssl
from collections.abc import Callable
from typing import Generic, TypeVar

import aiormq
from yarl import URL

Reader = TypeVar("Reader", bound=asyncio.StreamReader)


class Transport(Generic[Reader]):
    """Has the shape of aiormq's `TransportFactory`. `reader` and `writer`: of the connection, None before it."""

    def __init__(
        self, new_reader: Callable[[asyncio.AbstractEventLoop], Reader], context: ssl.SSLContext | None
    ) -> None:
        self._new_reader, self._context = new_reader, context
        self.reader: Reader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **_: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Called by the library to connect."""
        loop = asyncio.get_running_loop()
        reader = self._new_reader(loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        name = url.host if self._context else None
        transport, _protocol = await loop.create_connection(
            lambda: protocol, url.host or "", url.port or 0, ssl=self._context, server_hostname=name
        )
        self.reader, self.writer = reader, asyncio.StreamWriter(transport, protocol, reader, loop)
        return reader, self.writer


def library_accepts_transport() -> bool:
    """Return whether this version of the library accepts a `TransportFactory`."""
    return "transport_factory" in inspect.signature(aiormq.Connection.__init__).parameters
