"""Publish with confirms: what the broker has said that it has.

With `broker`, the only module that imports the AMQP library.
"""

import asyncio
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import aiormq
from aiormq.abc import AbstractChannel, AbstractConnection
from pamqp.commands import Basic

from consumer.errors import Exit, Fatal, Retry
from consumer.ingest.faults import LOST, connection_verdict, text_of

IN_FLIGHT_MAX = 500
CONNECT_S_MAX = 30.0


@dataclass(frozen=True, slots=True)
class Message:
    """What is published. `properties` by their AMQP names."""

    exchange: str
    routing_key: str
    body: bytes
    properties: dict[str, Any] = field(default_factory=dict)


class Refused(Exception):
    """The broker closed the channel because of a message that it will not take, now or later."""


class Publisher:
    """A connection to publish on. Used as an async context manager. `context`: for amqps URLs."""

    def __init__(self, url: str, context: ssl.SSLContext | None = None) -> None:
        self._url, self._context = url, context
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None

    async def __aenter__(self) -> Self:
        """Raises Fatal for what a person must change, Retry for what time may."""
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                self._connection = await aiormq.connect(self._url, context=self._context)
        except TimeoutError as error:
            raise Retry(f"no answer within {CONNECT_S_MAX:.0f} s") from error
        except LOST as error:
            raise connection_verdict(error, self._url) from error
        try:
            self._channel = await self._connection.channel()
        except BaseException:
            await self._connection.close()
            raise
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        assert self._connection is not None, "entered"
        await self._connection.close()

    async def publish(self, messages: Iterable[Message], mandatory: bool = False) -> int:
        """Publish all and wait until every one is confirmed; says how many that were. Order is kept.

        `mandatory`: a message that no queue takes is an error; else the broker confirms it, and drops it. Raises Refused if
        the broker will never take one of them, Fatal if the user may not publish here, and what the library raises.
        """
        room = asyncio.Semaphore(IN_FLIGHT_MAX)
        confirming: list[asyncio.Task[None]] = []
        try:
            for message in messages:
                await room.acquire()
                confirming.append(asyncio.create_task(self._confirmed(message, mandatory)))
                confirming[-1].add_done_callback(lambda _: room.release())
            if confirming:
                await asyncio.wait(confirming, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            # No group of tasks: Python 3.11 leaves a task that has caught the group's error with a cancellation to come.
            if waiting := [task for task in confirming if not task.done()]:
                for task in waiting:
                    task.cancel()
                await asyncio.wait(waiting)
            errors = [asyncio.CancelledError() if task.cancelled() else task.exception() for task in confirming]
        self._raise_first([error for error in errors if error is not None])
        return len(confirming)

    def _raise_first(self, errors: Sequence[BaseException]) -> None:
        """What went wrong, if something did: the broker's reason to close the channel explains all the others."""
        if not errors:
            return
        closing = self._channel.closing if self._channel is not None else None
        reason = closing.exception() if closing is not None and closing.done() and not closing.cancelled() else None
        match reason:
            case aiormq.exceptions.ChannelPreconditionFailed():
                raise Refused(text_of(reason)) from reason
            case aiormq.exceptions.ChannelAccessRefused():
                raise Fatal(Exit.ACCESS, text_of(reason), "grant the user write permission") from reason
        # The library cancels its calls when a channel closes.
        known = [error for error in errors if not isinstance(error, asyncio.CancelledError)]
        raise known[0] if known else ConnectionError("the channel was closed before everything was confirmed")

    async def delete(self, queue: str, exchange: str) -> None:
        """Remove a queue and an exchange."""
        assert self._channel is not None, "entered"
        await self._channel.queue_delete(queue)
        await self._channel.exchange_delete(exchange)

    async def _confirmed(self, message: Message, mandatory: bool) -> None:
        assert self._channel is not None, "entered"
        await self._channel.basic_publish(
            message.body, exchange=message.exchange, routing_key=message.routing_key,
            properties=Basic.Properties(**message.properties), mandatory=mandatory,
        )  # fmt: skip
