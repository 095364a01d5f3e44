"""`deedbox` with one part of it replaced, as a process: python -m tests.support.altered ALTERATION run …

For events that a real disk or a real message does not produce on demand. Everything else is real.
"""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from codec import kvp
from codec.event import Event
from consumer.amqp.session import Session
from consumer.archive.writing import orphans
from consumer.archive.writing.appender import Appender
from consumer.archive.writing.archive_log import ArchiveLog
from consumer.cli.app import main
from consumer.disk.durable import Disk

SYNC_S = 1.0
DEFECT = b"a body that meets a defect"
TOUCHED = 99
CHANGING = {"writer", "ledger", "last_roll", "_abandoned"}


def slow_sync() -> None:
    """Each sync takes a second."""
    sync = Disk.sync

    def slowly(self: Disk, fd: int) -> None:
        time.sleep(SYNC_S)
        sync(self, fd)

    Disk.sync = slowly  # type: ignore[method-assign]


def defect() -> None:
    """The encoder fails on one body, as no message should make it."""
    encode_batch = kvp.encode_batch

    def encode(events: Sequence[Event], *arguments: Any) -> list[bytes]:
        if any(event.body == DEFECT for event in events):
            raise LookupError("a defect of the encoder")
        return encode_batch(events, *arguments)

    kvp.encode_batch = encode


def slow_recovery() -> None:
    """The recovery at the start takes seconds, as that of a large archive does."""
    recover_own = orphans.recover_own

    def slowly(*arguments: Any) -> Iterator[Any]:
        time.sleep(2 * SYNC_S)
        yield from recover_own(*arguments)

    orphans.recover_own = slowly


def cancel_that_hangs() -> None:
    """The broker does not take the cancel of the consumer."""

    async def hang(_session: Session) -> None:
        await asyncio.Event().wait()

    consume = Session.consume

    async def consume_then_hang(session: Session, prefetch: int) -> None:
        await consume(session, prefetch)
        Session._cancel = hang  # type: ignore[method-assign]

    Session.consume = consume_then_hang  # type: ignore[method-assign]


def archive_log_of_one_thread() -> None:
    """Once an archive log has a writer thread, the process ends if another thread touches what changes in it."""
    owned: set[int] = set()
    begin, get = Appender.__init__, ArchiveLog.__getattribute__

    def begin_owned(appender: Appender, archive_log: ArchiveLog) -> None:
        begin(appender, archive_log)
        owned.add(id(archive_log))

    def guarded(archive_log: ArchiveLog, name: str) -> Any:
        if name in CHANGING and id(archive_log) in owned and threading.current_thread().name != "writer":
            os._exit(TOUCHED)
        return get(archive_log, name)

    Appender.__init__ = begin_owned  # type: ignore[method-assign]
    ArchiveLog.__getattribute__ = guarded  # type: ignore[method-assign]


ALTERATIONS: dict[str, Callable[[], None]] = {
    "slow_sync": slow_sync,
    "defect": defect,
    "slow_recovery": slow_recovery,
    "cancel_that_hangs": cancel_that_hangs,
    "archive_log_of_one_thread": archive_log_of_one_thread,
}

if __name__ == "__main__":
    ALTERATIONS[sys.argv.pop(1)]()
    main()
