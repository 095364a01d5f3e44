"""Publish with confirms: what the broker has said that it has.

With `broker`, the only module that imports the AMQP library.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import aiormq
from aiormq.abc import AbstractChannel, AbstractConnection
from pamqp.commands import Basic

IN_FLIGHT_MAX = 500


@dataclass(frozen=True, slots=True)
class Message:
    """What is published. `properties` by their AMQP names."""

    exchange: str
    routing_key: str
    body: bytes
    properties: dict[str, Any] = field(default_factory=dict)


class Publisher:
    """A connection to publish on. Used as an async context manager."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None

    async def __aenter__(self) -> Self:
        self._connection = await aiormq.connect(self._url)
        self._channel = await self._connection.channel()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        assert self._connection is not None, "entered"
        await self._connection.close()

    async def publish(self, messages: Iterable[Message], mandatory: bool = False) -> int:
        """Publish all and wait until every one is confirmed; says how many that were. Order is kept.

        `mandatory`: a message that no queue takes is an error; else the broker confirms it, and drops it.
        """
        assert self._channel is not None, "entered"
        room = asyncio.Semaphore(IN_FLIGHT_MAX)
        confirming = []
        async with asyncio.TaskGroup() as tasks:
            for message in messages:
                await room.acquire()
                confirming.append(tasks.create_task(self._confirmed(message, mandatory)))
                confirming[-1].add_done_callback(lambda _: room.release())
        if any(task.cancelled() for task in confirming):
            # The library cancels its calls when a channel closes; a group of tasks takes that for an end like any other.
            raise ConnectionError("the channel was closed before everything was confirmed")
        return len(confirming)

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
