"""LinePublisher: publishes the lines of followed files, and confirms to the files the lines that the broker has confirmed.

Invariants: a line is confirmed to its file only after the broker has put it, and every line before it, into a queue. If a publish fails,
the same lines are published again under the same message ids, by which readers can recognise them.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from consumer import log
from consumer.amqp.errors import LOST, reason_of
from consumer.amqp.publish import Publisher, Refused
from consumer.errors import Fatal, Retry
from consumer.forward import log_events
from consumer.forward.followed_files import FollowedFiles
from consumer.forward.messages import LineMessages, display_path
from consumer.forward.state import WatchState
from consumer.watch.follower import FileFollower
from consumer.watch.lines import Line

WAIT_S_MIN, WAIT_S_MAX = 0.5, 30.0  # between two attempts
TRIES = 3  # of a message that the broker refuses, before it is set aside


@dataclass(frozen=True)
class Target:
    """Where lines are published. `context`: for an amqps URL."""

    url: str
    exchange: str
    routing_key: str
    context: ssl.SSLContext | None = None


class LinePublisher:
    """`held`: lines that were read and are not confirmed. `published`: how many the broker has confirmed.

    `is_sending`: lines are being published, so that an end waits for them.
    """

    def __init__(self, target: Target, files: FollowedFiles, state: WatchState) -> None:
        self._target, self._files, self._state = target, files, state
        self._messages = LineMessages(target.exchange, target.routing_key)
        self._source: FileFollower | None = None  # of the lines in `held`
        self.held: deque[Line] = deque()
        self.published = 0
        self.is_sending = False
        self._one_by_one = False  # after a refusal, to find the message that is refused
        self._tries = 0

    async def run(self, stopping: asyncio.Event) -> None:
        """Publish until `stopping` is set. Connection losses and refusals are tried again, after a pause.

        Raises Fatal, for a fault that an operator must repair, only if no line was published yet.
        """
        wait_s = WAIT_S_MIN
        while not stopping.is_set():
            before = self.published
            try:
                async with Publisher(self._target.url, self._target.context) as publisher:
                    await publisher.find(self._target.exchange, self._target.routing_key)
                    while not stopping.is_set():
                        await self._publish_next(publisher)
                return
            except (Fatal, Retry) as fault:
                if isinstance(fault, Fatal) and not self.published:
                    raise
                reason = fault.what
            except Refused as fault:
                self._one_by_one, reason = True, str(fault)
            except LOST as fault:
                reason = reason_of(fault)
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise asyncio.CancelledError  # an error while the connection closes must not hide the cancellation
            wait_s = WAIT_S_MIN if self.published > before else min(2 * wait_s, WAIT_S_MAX)
            log.emit(log_events.PUBLISH_FAILED, reason=reason, lines=len(self.held), wait_s=wait_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), wait_s)

    async def _publish_next(self, publisher: Publisher) -> None:
        """Publish the held lines, or else the next ones of a file; without any, wait for the next check of the files."""
        self._files.checked.clear()
        if not self.held:
            self._source, lines = await self._files.read()
            self.held.extend(lines)
        if not self.held or self._source is None:
            await self._files.checked.wait()
            return
        await self._files.store_content_ids(self._source)
        self.is_sending = True
        try:
            while self.held:
                await self._send(publisher, self._source)
            self._one_by_one = False
            await self._files.confirm(self._source)
        finally:
            self.is_sending = False

    async def _send(self, publisher: Publisher, source: FileFollower) -> None:
        """Publish the held lines; only the first one while the refused message is searched for."""
        lines = [self.held[0]] if self._one_by_one else list(self.held)
        try:
            await publisher.publish((self._messages.of(line, source.path) for line in lines), mandatory=True)
        except Refused as refused:
            self._tries += self._one_by_one
            if self._tries >= TRIES:
                await self._set_aside(source, str(refused))
            raise
        finally:
            self._remove_confirmed(frozenset(publisher.confirmed))
        self._tries = 0

    def _remove_confirmed(self, confirmed: Collection[int]) -> None:
        """Remove the lines with these numbers from `held`. A full queue may confirm only a part of the lines each time."""
        self.published += len(confirmed)
        if confirmed:
            self.held = deque(line for number, line in enumerate(self.held) if number not in confirmed)

    async def _set_aside(self, source: FileFollower, reason: str) -> None:
        line = self.held[0]
        about = {"path": display_path(source.path), "position": line.offset, "reason": reason}
        message_id = self._messages.of(line, source.path).properties["message_id"]
        kept = await asyncio.to_thread(self._state.set_aside, line.text, {**about, "message_id": message_id})
        log.emit(log_events.MESSAGE_REFUSED, **about, bytes=len(line.text), kept=kept)
        self.held.popleft()
        self._tries = 0
