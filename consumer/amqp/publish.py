"""Publish with confirms: what the broker has said that it has.

With `broker`, the only module that imports the AMQP library.
"""

import asyncio
import ssl
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Self
from uuid import uuid4

import aiormq
from aiormq import Channel
from aiormq.abc import AbstractConnection, ChannelFrame
from pamqp.base import Frame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.frame import marshal
from pamqp.header import ContentHeader

from consumer.amqp.errors import LOST, connection_verdict, text_of
from consumer.errors import Exit, Fatal, Retry

IN_FLIGHT_MAX = 500
GROUP_COUNT, GROUP_BYTES = 100, 1 << 18
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
        self._channel: Channel | None = None
        self.confirmed: list[
            int
        ] = []  # of the last `publish`: the numbers of the messages that were confirmed, from 0 on

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
            channel = await self._connection.channel()
            assert isinstance(channel, Channel), "the library's own"
            self._channel = channel
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

        Many messages go to the socket in one write: a write for each would wake the broker for each, which costs both sides
        several times as much as the messages do. Message ids must differ: by them the library finds a message that was returned. After an error, `confirmed` says what the broker has; leave the context then.
        `mandatory`: a message that no queue takes is an error; else the broker confirms it, and drops it. Raises Refused if
        the broker will never take one of them, Fatal if the user may not publish here, and what the library raises.
        """
        assert self._channel is not None, "entered"
        sent: list[_Sent] = []
        closed: list[BaseException] = []  # the library says only that the channel is closed, not why
        self.confirmed = []
        try:
            for group in _groups(messages):
                sent += await _send(self._channel, group, mandatory)
                await _settled(sent[-IN_FLIGHT_MAX - 1 : -IN_FLIGHT_MAX])
            await _settled(sent)
        except aiormq.exceptions.ChannelInvalidStateError as failure:
            closed.append(failure)
        finally:
            self.confirmed = [number for number, message in enumerate(sent) if message.is_confirmed]
            for message in sent:
                self._channel.message_id_delivery_tag.pop(message.id, None)
        self._raise_first([error for message in sent if (error := message.error) is not None] + closed)
        return len(sent)

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
            case aiormq.AMQPError():
                raise reason
        # The library cancels its calls when a channel closes.
        ends = (asyncio.CancelledError, aiormq.exceptions.ChannelInvalidStateError)
        known = [error for error in errors if not isinstance(error, ends)]
        raise known[0] if known else ConnectionError("the channel was closed before everything was confirmed")

    async def find(self, exchange: str, routing_key: str) -> None:
        """Make sure that there is an exchange to publish to, or the queue that the default exchange leads to.

        Raises Retry if there is none: it may be made later.
        """
        assert self._connection is not None, "entered"
        channel = await self._connection.channel()  # one of its own: the broker closes it if the answer is no
        try:
            if exchange:
                await channel.exchange_declare(exchange, passive=True)
            else:
                await channel.queue_declare(routing_key, passive=True)
            await channel.close()
        except aiormq.exceptions.ChannelNotFoundEntity as error:
            raise Retry(text_of(error)) from error
        except (aiormq.exceptions.ChannelAccessRefused, aiormq.exceptions.ChannelLockedResource):
            return  # it is there; whether messages may be published to it, the first one finds out

    async def delete(self, queue: str, exchange: str) -> None:
        """Remove a queue and an exchange."""
        assert self._channel is not None, "entered"
        await self._channel.queue_delete(queue)
        await self._channel.exchange_delete(exchange)


class _Sent(NamedTuple):
    """A message that was written. `confirmation` is settled by the library."""

    id: str
    confirmation: asyncio.Future[Any]

    @property
    def is_confirmed(self) -> bool:
        """Whether the broker has it."""
        return self.confirmation.done() and self.error is None

    @property
    def error(self) -> BaseException | None:
        """Why it is not confirmed, if that is known."""
        if not self.confirmation.done():
            return None
        return asyncio.CancelledError() if self.confirmation.cancelled() else self.confirmation.exception()


async def _settled(sent: Sequence[_Sent]) -> None:
    """Wait until it is known of each of these whether it is confirmed. After the channel is closed, none is."""
    if sent:
        await asyncio.wait([message.confirmation for message in sent])


def _groups(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """Messages that are written together: at most GROUP_COUNT, and no more after GROUP_BYTES."""
    group: list[Message] = []
    size = 0
    for message in messages:
        group.append(message)
        size += len(message.body)
        if len(group) >= GROUP_COUNT or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


async def _send(channel: Channel, group: Sequence[Message], mandatory: bool) -> list[_Sent]:
    """Write messages, and wait until the socket has them.

    It does for a group what the library's `basic_publish` does for one message, in the same tables: it counts the delivery
    tag as the broker does, and leaves a future for the confirmation under it.
    """
    # The library finds the message that was returned by its id; without one it would count as confirmed.
    ids = [str(message.properties.get("message_id") or uuid4().hex) for message in group]
    sent = []
    async with channel.lock:
        payload = b"".join(_frames(channel, message, id, mandatory) for message, id in zip(group, ids, strict=True))
        for id in ids:
            channel.delivery_tag += 1
            sent.append(_Sent(id, channel.create_future()))
            channel.confirmations[channel.delivery_tag] = sent[-1].confirmation
            channel.message_id_delivery_tag[id] = channel.delivery_tag
        written = channel.create_future()
        await channel.write_queue.put(ChannelFrame(payload=payload, should_close=False, drain_future=written))
        await asyncio.wait([written])  # if the connection is lost, the confirmations have the error too
    return sent


def _frames(channel: Channel, message: Message, id: str, mandatory: bool) -> bytes:
    """A message as AMQP frames. Raises TypeError and ValueError for what AMQP cannot carry."""
    size, body = channel.max_content_size, message.body
    frames: list[Frame | ContentHeader | ContentBody] = [
        Basic.Publish(exchange=message.exchange, routing_key=message.routing_key, mandatory=mandatory),
        ContentHeader(properties=Basic.Properties(**message.properties | {"message_id": id}), body_size=len(body)),
        *(ContentBody(body[at : at + size]) for at in range(0, len(body), size)),
    ]
    return b"".join(marshal(frame, channel.number) for frame in frames)
