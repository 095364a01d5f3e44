"""Publish messages with publisher confirms.

Invariant: a message counts as published only after the broker has confirmed it.
Source: the RabbitMQ guide "Consumer Acknowledgements and Publisher Confirms".
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

from consumer.amqp.errors import LOST, connection_error, reason_of, text_of
from consumer.errors import Exit, Fatal, Retry

IN_FLIGHT_MAX = 500
GROUP_COUNT, GROUP_BYTES = 100, 1 << 18
CONNECT_S_MAX = 30.0


@dataclass(frozen=True, slots=True)
class Message:
    """A message to publish. `properties`: by their AMQP names."""

    exchange: str
    routing_key: str
    body: bytes
    properties: dict[str, Any] = field(default_factory=dict)


class Refused(Exception):
    """The broker closed the channel because of a message that it will never accept."""


class Publisher:
    """A connection for publishing, used as an async context manager. `context`: the TLS context for amqps URLs."""

    def __init__(self, url: str, context: ssl.SSLContext | None = None) -> None:
        self._url, self._context = url, context
        self._connection: AbstractConnection | None = None
        self._channel: Channel | None = None
        # Of the last `publish`: the index of each confirmed message.
        self.confirmed: list[int] = []

    async def __aenter__(self) -> Self:
        """Connect. Raises Fatal if a person must change something, and Retry if a later attempt may succeed."""
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                self._connection = await aiormq.connect(self._url, context=self._context)
        except TimeoutError as error:
            raise Retry(f"no answer within {CONNECT_S_MAX:.0f} s") from error
        except LOST as error:
            raise connection_error(error, self._url) from error
        try:
            channel = await self._connection.channel()
            assert isinstance(channel, Channel), "aiormq creates its own class"
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
        """Publish the messages in order and wait until all are confirmed. Return how many there were.

        `mandatory`: a message that reaches no queue is an error. Without it the broker confirms such a message and drops it.
        Message ids must differ, because the library finds a returned message by its id.
        Raises Refused if the broker will never accept one of the messages, Fatal if the user has no permission to publish,
        and Retry if a later attempt may succeed. After an error, `confirmed` lists the messages that the broker has, and the publisher
        cannot be used again.

        Messages are written in groups. One write for each message would wake up the broker each time, and cost both
        sides several times as much.
        """
        assert self._channel is not None, "entered"
        sent: list[_Sent] = []
        closed: list[BaseException] = []  # the library does not report the reason here
        self.confirmed = []
        try:
            for group in _groups(messages):
                sent += await _send(self._channel, group, mandatory)
                await _wait_for_confirms(sent[-IN_FLIGHT_MAX - 1 : -IN_FLIGHT_MAX])
            await _wait_for_confirms(sent)
        except aiormq.exceptions.ChannelInvalidStateError as failure:
            closed.append(failure)
        finally:
            self.confirmed = [number for number, message in enumerate(sent) if message.is_confirmed]
            for message in sent:
                self._channel.message_id_delivery_tag.pop(message.id, None)
        self._raise_first([error for message in sent if (error := message.error) is not None] + closed)
        return len(sent)

    def _raise_first(self, errors: Sequence[BaseException]) -> None:
        """Raise the cause of the errors, if there are any. If the broker closed the channel, its reason explains all of them."""
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
                raise Retry(reason_of(reason)) from reason
        # When a channel closes, the library cancels the calls that wait.
        ends = (asyncio.CancelledError, aiormq.exceptions.ChannelInvalidStateError)
        known = [error for error in errors if not isinstance(error, ends)]
        if not known:
            raise Retry("the channel was closed before everything was confirmed")
        if isinstance(known[0], LOST):
            raise Retry(reason_of(known[0])) from known[0]
        raise known[0]

    async def find(self, exchange: str, routing_key: str) -> None:
        """Check that the exchange exists, or for the default exchange the queue named by `routing_key`.

        Raises Retry if it does not exist, because it may be created later.
        """
        assert self._connection is not None, "entered"
        channel = (
            await self._connection.channel()
        )  # a new one, because the broker closes it if the object does not exist
        try:
            if exchange:
                await channel.exchange_declare(exchange, passive=True)
            else:
                await channel.queue_declare(routing_key, passive=True)
            await channel.close()
        except aiormq.exceptions.ChannelNotFoundEntity as error:
            raise Retry(text_of(error)) from error
        except (aiormq.exceptions.ChannelAccessRefused, aiormq.exceptions.ChannelLockedResource):
            return  # it exists; the first message shows whether the user may publish to it

    async def delete(self, queue: str, exchange: str) -> None:
        """Delete a queue and an exchange."""
        assert self._channel is not None, "entered"
        await self._channel.queue_delete(queue)
        await self._channel.exchange_delete(exchange)


class _Sent(NamedTuple):
    """A message that was written. The library completes `confirmation`."""

    id: str
    confirmation: asyncio.Future[Any]

    @property
    def is_confirmed(self) -> bool:
        """Whether the broker has confirmed it."""
        return self.confirmation.done() and self.error is None

    @property
    def error(self) -> BaseException | None:
        """Why it is not confirmed, if that is known."""
        if not self.confirmation.done():
            return None
        return asyncio.CancelledError() if self.confirmation.cancelled() else self.confirmation.exception()


async def _wait_for_confirms(sent: Sequence[_Sent]) -> None:
    """Wait until each message is confirmed or has failed."""
    if sent:
        await asyncio.wait([message.confirmation for message in sent])


def _groups(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """Group the messages for writing. A group is full at GROUP_COUNT messages or GROUP_BYTES bytes."""
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
    """Write a group of messages and wait until they are in the socket.

    This does for a group what the library's `basic_publish` does for one message, with the same tables: it increments
    the delivery tag, and registers a future for the confirmation of each tag.
    """
    # The library finds a returned message by its id. A returned message without an id would count as confirmed.
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
        await asyncio.wait([written])  # after a lost connection the confirmations hold the error
    return sent


def _frames(channel: Channel, message: Message, id: str, mandatory: bool) -> bytes:
    """Encode a message as AMQP frames. Raises TypeError or ValueError if AMQP cannot represent it."""
    size, body = channel.max_content_size, message.body
    frames: list[Frame | ContentHeader | ContentBody] = [
        Basic.Publish(exchange=message.exchange, routing_key=message.routing_key, mandatory=mandatory),
        ContentHeader(properties=Basic.Properties(**message.properties | {"message_id": id}), body_size=len(body)),
        *(ContentBody(body[at : at + size]) for at in range(0, len(body), size)),
    ]
    return b"".join(marshal(frame, channel.number) for frame in frames)
