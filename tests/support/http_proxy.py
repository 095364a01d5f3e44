"""A proxy before an HTTP server that fails on request: slow, silent, refusing, resetting, or answering with an error.

It runs in a thread of the test. It knows where a request and its answer end, so that it can count them and answer in the place of the server.
"""

import asyncio
import re
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

CHUNK_BYTES = 16 << 10
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_DATE = re.compile(rb"(\r\nx-amz-date: *)(\d{8}T\d{6}Z)", re.IGNORECASE)
_NEVER: tuple[int, Callable[[], object]] = (1 << 62, lambda: None)
_WITHOUT_BODY = (b"204", b"304")


@dataclass
class Exchange:
    """A request and what came back: the bytes of the body only. `status` is 0 until the head of the answer is here."""

    method: str
    target: str
    head: bytes = field(repr=False)
    sent: int = 0
    received: int = 0
    status: int = 0


class HttpProxy:
    """Forwards the port `port` of this machine to `target`. Every method may be called from the thread of the test."""

    def __init__(self, target: int) -> None:
        self.exchanges: list[Exchange] = []
        self.in_flight_max = 0  # requests at the same time
        self._in_flight = 0
        self._target = target
        self._delay_s, self._bytes_s = 0.0, 0
        self._answers: deque[tuple[int, str]] = deque()
        self._skew_s = 0
        self._sent, self._on_sent = 0, _NEVER
        self._received, self._on_received = 0, _NEVER
        self._clients: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._open.set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def received(self) -> int:
        """The bytes of all bodies that came back."""
        return sum(one.received for one in self.exchanges)

    def pass_on(self) -> None:
        """Forward everything at once, as at the beginning."""
        self._delay_s, self._bytes_s = 0.0, 0
        self._answers.clear()
        self._call(self._listen())
        self._loop.call_soon_threadsafe(self._open.set)

    def delay(self, seconds: float) -> None:
        """Hold every request for this time."""
        self._delay_s = seconds

    def throttle(self, bytes_s: int) -> None:
        """Forward at most this number of bytes a second on each connection."""
        self._bytes_s = bytes_s

    def swallow(self) -> None:
        """Accept connections and forward nothing, in both directions: a black hole."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def refuse(self) -> None:
        """Refuse new connections, and reset those that are open."""
        self._call(self._close())

    def reset(self) -> None:
        """Reset all open connections. For `after_sent`, too."""
        self._loop.call_soon_threadsafe(self._reset)

    def answer(self, status: int, times: int = 1, method: str = "") -> None:
        """Answer the next requests with this status, without the server. `method`: only requests with it."""
        self._answers.extend([(status, method)] * times)

    def wait_for_requests(self, count: int, wait_s: float = 30.0) -> None:
        """Until this many requests have come."""
        deadline = time.monotonic() + wait_s
        while len(self.exchanges) < count:
            assert time.monotonic() < deadline, f"{len(self.exchanges)} requests came, {count} expected"
            time.sleep(0.01)

    def skew(self, seconds: int) -> None:
        """Change the time in every request, as a client with a wrong clock would send it."""
        self._skew_s = seconds

    def after_received(self, count: int, act: Callable[[], object]) -> None:
        """As `after_sent`, for the bytes that come back."""
        self._received, self._on_received = 0, (count, act)

    def after_sent(self, count: int, act: Callable[[], object]) -> None:
        """Call `act` once, as soon as this many bytes of bodies were sent to the server, counted from now."""
        self._sent, self._on_sent = 0, (count, act)

    def _call(self, work: Coroutine[None, None, None]) -> None:
        done: Future[None] = asyncio.run_coroutine_threadsafe(work, self._loop)
        done.result(10)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=1 << 20)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._reset()

    def _reset(self) -> None:
        for writer in list(self._clients):
            with suppress(OSError):  # it is closed already
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        server: asyncio.StreamWriter | None = None
        try:
            answers, server = await asyncio.open_connection("127.0.0.1", self._target, limit=1 << 20)
            while True:
                await self._exchange(reader, server, answers, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._clients.discard(writer)
            for one in (writer, server):
                if one is not None:
                    one.transport.abort()

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        server: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.decode("latin-1").split(" ", 2)
        done = Exchange(method, target, head)
        self.exchanges.append(done)
        self._in_flight += 1
        self.in_flight_max = max(self._in_flight, self.in_flight_max)
        try:
            await asyncio.sleep(self._delay_s)
            if status := self._own_answer(method):
                await self._answer(done, status, reader, writer)
                return
            await self._forward(_DATE.sub(self._skewed, head), server)
            await self._body(head, reader, server, lambda size: self._count_sent(done, size))
            head = await answers.readuntil(b"\r\n\r\n")
            done.status = int(head.split(b" ", 2)[1])
            await self._forward(head, writer)
            if method != "HEAD" and head.split(b" ", 2)[1] not in _WITHOUT_BODY:
                await self._body(head, answers, writer, lambda size: self._count_received(done, size))
        finally:
            self._in_flight -= 1

    def _skewed(self, found: re.Match[bytes]) -> bytes:
        at = datetime.strptime(found[2].decode(), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) + timedelta(
            seconds=self._skew_s
        )
        return found[1] + at.strftime("%Y%m%dT%H%M%SZ").encode()

    def _own_answer(self, method: str) -> int:
        if self._answers and self._answers[0][1] in ("", method):
            return self._answers.popleft()[0]
        return 0

    async def _answer(
        self, done: Exchange, status: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        done.status = status
        await self._body(done.head, reader, None, lambda size: self._count_sent(done, size))
        writer.write(f"HTTP/1.1 {status} Fault\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()

    def _count_sent(self, done: Exchange, size: int) -> None:
        done.sent += size
        self._sent += size
        count, act = self._on_sent
        if self._sent >= count:
            self._on_sent = _NEVER
            act()

    def _count_received(self, done: Exchange, size: int) -> None:
        done.received += size
        self._received += size
        count, act = self._on_received
        if self._received >= count:
            self._on_received = _NEVER
            act()

    async def _forward(self, raw: bytes, writer: asyncio.StreamWriter | None) -> None:
        await self._open.wait()
        if self._bytes_s:
            await asyncio.sleep(len(raw) / self._bytes_s)
        if writer is not None:
            writer.write(raw)
            await writer.drain()

    async def _body(
        self,
        head: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter | None,
        count: Callable[[int], None],
    ) -> None:
        """Forward the body that follows a head. Source: RFC 9112 section 6.3."""
        if found := _LENGTH.search(head):
            await self._bytes(int(found[1]), reader, writer, count)
        elif _CHUNKED.search(head):
            size = 1
            while size:
                line = await reader.readuntil(b"\r\n")
                await self._forward(line, writer)
                size = int(line.partition(b";")[0], 16)
                await self._bytes(size, reader, writer, count)
                await self._forward(await reader.readexactly(2), writer)

    async def _bytes(
        self, size: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter | None, count: Callable[[int], None]
    ) -> None:
        while size:
            raw = await reader.read(min(size, CHUNK_BYTES))
            if not raw:
                raise asyncio.IncompleteReadError(raw, size)
            size -= len(raw)
            count(len(raw))
            await self._forward(raw, writer)

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._call(self._close())
            self._call(self._finish())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
        self._loop.close()

    async def _finish(self) -> None:
        """End the connections that still wait."""
        tasks = asyncio.all_tasks() - {task for task in [asyncio.current_task()] if task is not None}
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
