"""The log: one catalogue of events, and the thread that writes them.

Invariants: what is not in the catalogue cannot be logged; a reader that stops reading never stops the service, nor its end,
because lines wait in a bounded queue for a thread of their own and are counted when they do not fit, and because no other thread
takes a lock of the stream; a line that repeats is counted, not repeated. Lines are JSON on a pipe and text on a terminal.
"""

import atexit
import errno
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from io import FileIO
from typing import BinaryIO

import orjson

LINES_MAX = 10_000
REPEAT_S = 10.0  # the same event about the same thing within this time is counted


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One kind of line. `fields` are all that it may carry, `do` is what the operator does about it."""

    level: str
    fields: tuple[str, ...]
    meaning: str
    do: str = "Nothing."
    repeats: bool = False  # whether repetition is itself the information


def _event(level: str, fields: str, meaning: str, do: str = "Nothing.", repeats: bool = False) -> LogEvent:
    return LogEvent(level, tuple(fields.split()), meaning, do, repeats)


CATALOGUE = {
    "started": _event("info", "version instance directory queue unclean", "The service has its directory, and connects next; what recovery did comes before it. `unclean`: 1 if the last life ended without a stop, and 1 more for each life in a row before it that ended without a stop and without a commit."),
    "connecting": _event("info", "broker attempt", "Opening a connection to the broker."),
    "connect_failed": _event("warning", "broker reason wait_s", "No connection; it is tried again after `wait_s`.", "If it lasts: is the broker up, is the address right?"),
    "declared": _event("info", "queue exchange bindings created messages consumers", "The queue, the exchange and the bindings that were made or found. `created`: which of queue and exchange were missing before. Other bindings of the queue are not known: AMQP does not tell them.", "If `created` has a name that should have been there: is it spelled right?"),
    "unbound": _event("warning", "queue", "The queue is new, and no exchange is named, so that no binding brings messages into it.", "Name the exchange (`--exchange`), or bind the queue yourself (`rabbitmqadmin declare binding`)."),
    "nothing_delivered": _event("warning", "queue exchange bindings waited_s", "The queue is empty, and nothing was delivered since the service began to consume.", "Is anything published? Do exchange and binding keys match what is published?"),
    "unexpected_binding": _event("warning", "queue exchange routing_key", "A message came that no binding of the settings explains: the queue has another binding, or something publishes to the queue itself, or the exchange is bound to another.", "Unbind what is not wanted (`rabbitmqctl list_bindings`): a key that is taken out of `broker.binding_keys` stays bound."),
    "consuming": _event("info", "queue generation prefetch messages", "The broker delivers. `messages` were waiting when the queue was declared."),
    "widened": _event("info", "generation prefetch", "The first commit after an unclean end went well; the full window is asked for."),
    "connection_lost": _event("warning", "generation reason held", "The connection or channel ended; `held` deliveries come again.", "If it repeats: the broker's log says why."),
    "consumer_cancelled": _event("warning", "queue generation", "The broker ended the consumer (queue deleted or failed over); it is declared again.", "If it repeats: is something deleting the queue?"),
    "stalled": _event("error", "queue messages idle_s", "Messages wait and none is delivered: reconnecting; the second time in a row the service exits.", "Restart; report it if it repeats."),
    "delivery_limit_near": _event("warning", "queue count", "A message came back `count` times; a quorum queue drops messages at its delivery limit.", "Find out why the service restarts; raise the limit or set a dead-letter exchange."),
    "archive_opened": _event("info", "archive", "A new archive takes batches."),
    "archive_sealed": _event("info", "archive path events bytes reason", "An archive is complete and takes no more events."),
    "archive_repacked": _event("info", "path bytes saved", "The batches of a sealed archive were merged: same events and positions, `saved` bytes less."),
    "repack_failed": _event("warning", "path reason", "A sealed archive could not be repacked. It is whole, and larger than it could be.", "Nothing: the next start tries again. If it repeats, look at the reason."),
    "archive_abandoned": _event("error", "archive reason detail", "Writing failed; the archive is final as it is, and is recovered when the disk allows.", "Check the disk."),
    "directory_unsynced": _event("warning", "path archive", "A directory could not be synced after an archive was renamed in it. Nothing is lost: Deedbox syncs the directory before it acknowledges anything that depends on it.", "Check the disk."),
    "unsupported_file_system": _event("warning", "directory type reason", "The archive directory is on a file system that may break the promise, because of `reason`.", "Move the archive directory to a local ext4, xfs or btrfs."),
    "watermark_failed": _event("warning", "path reason", "The watermark could not be written. Nothing is lost; other processes trust less of the open archive than they could.", "Check the disk and the permissions of the file."),
    "events_lost": _event("error", "archive path events", "`events` that were archived and acknowledged are not in the archive any more: another process removed, replaced or changed its file.", "Find the process that changes the archive directory. Look for the file, or for a copy of it, and put it back."),
    "recovered": _event("warning", "path outcome events torn_bytes gaps sealed", "An archive of a life that did not end cleanly was recovered; torn bytes were never acknowledged.", "Nothing, unless `gaps` is not 0: then `deedbox verify` says what is lost."),
    "recovery_awaited": _event("warning", "path", "Another instance of the directory recovers the archives of this one; the start waits for it.", "Nothing, unless it does not end: then look at the other instance."),
    "recovery_deferred": _event("error", "path reason", "An archive could not be recovered now; it is tried again.", "Check the disk and the permissions of the file."),
    "paused": _event("error", "reason detail returned", "The disk takes no more: consuming has stopped, `returned` deliveries were given back. Nothing is lost.", "Free space or repair the disk; consuming resumes by itself."),
    "still_paused": _event("warning", "reason detail paused_s", "The disk was probed and still takes no more.", "Free space or repair the disk; consuming resumes by itself."),
    "resumed": _event("info", "paused_s", "The disk takes data again."),
    "set_aside": _event("error", "reason detail bytes count", "The disk takes less, and not this delivery: it is held unacknowledged and tried again, and the others go on. `count`: how often it came back before.", "Free space, or raise the limit of the file size or the quota. The broker closes a channel that holds a delivery longer than its `consumer_timeout`."),
    "still_aside": _event("warning", "reason detail paused_s", "The disk was probed with the size of a delivery that is set aside, and does not take it.", "Free space, or raise the limit of the file size or the quota."),
    "taken_back": _event("info", "paused_s", "A delivery that was set aside is archived and acknowledged."),
    "withheld": _event("error", "queue count limit reason detail", "The disk does not take a message that came back `count` times. It is held and not returned any more, because the queue drops it after `limit` returns.", "Free space or repair the disk before you restart the service: each restart is one more return."),
    "slow_sync": _event("warning", "sync_s", "A sync took longer than a second.", "If it repeats: the disk is too slow or too busy."),
    "duplicates_marked": _event("info", "marked generation", "Redelivered events equal archived ones. They are archived too, each marked with the position of the first; readers hide them by default."),
    "receive_fallback": _event("warning", "library", "This version of the AMQP library does not let Deedbox read the connection itself: a tenth of the speed, nothing lost.", "Install the version of requirements.lock."),
    "stale_ack": _event("info", "generation events", "A batch became durable after its connection had ended; it comes again, and is archived again and marked."),
    "stats": _event("info", "state events_per_s bytes_per_s archived acked held held_bytes unacked_age_s batch_mean sync_p50_ms sync_p99_ms loop_lag_ms free_bytes redelivered marked generation open_archive last_roll log_lines_lost", "Every ten seconds, what the service does.", "Watch it.", repeats=True),
    "draining": _event("info", "signal held", "Asked to stop: no new deliveries, what is held is committed."),
    "drain_deadline": _event("warning", "returned", "The drain took too long; what was left has been given back.", "Is the disk slow? Raise service.drain_s."),
    "stopped": _event("info", "archived acked returned", "The service has ended; `failed` comes after it if a failure was the reason."),
    "failed": _event("error", "exit reason do", "The service cannot go on.", "As `do` says."),
    "watching": _event("info", "files exchange backend", "New lines of these files are published."),
    "watch_stopped": _event("info", "published held", "`watch` has ended. `held` lines were read and not confirmed. With a state, they are published at the next start. Without a state, these lines and all lines not yet read are not published."),
    "file_rotated": _event("info", "path", "A watched file was renamed and another one has its name; the old one is read to its end."),
    "file_gone": _event("warning", "path position unread", "A file that was being read when `watch` ended is not in its directory any more, or only compressed, or under a name that proves nothing while less than 1 KiB of it was seen. What it had after `position` is lost: `unread` bytes when it was last looked at, and what was written later.", "Rotate into the same directory, and do not compress or remove a file before it has been read.", repeats=True),
    "file_truncated": _event("warning", "path size position", "A watched file does not hold any more what was read of it. It is read from its beginning, and a copy of what it held from `position` on, if there is one.", "Rotate by renaming: what is written between the copy and the truncation is lost."),
    "publish_failed": _event("warning", "reason lines wait_s", "Lines could not be published; the same ones are tried again after `wait_s`.", "Is the broker up, does the exchange exist, is a queue bound?"),
    "message_refused": _event("error", "path position bytes reason kept", "The broker refused a message three times. It was set aside in the file `kept`, and the next one is published; without a state it is only in the watched file, before `position`.", "Repair what `reason` names, and publish the lines of `kept` by hand.", repeats=True),
    "watch_fallback": _event("warning", "backend reason", "The kernel's file events are not available; the files are polled.", "Nothing, or raise fs.inotify.max_user_instances and max_user_watches."),
    "watch_failed": _event("warning", "reason", "A file or a directory could not be watched or read, or the state not stored; it is tried again.", "Raise fs.inotify.max_user_watches, give access, or do as `reason` says."),
    "handler_failed": _event("error", "path reason", "The handler for changes of this file failed.", "Report it: this is a defect of Deedbox."),
    "lines_lost": _event("warning", "count", "The reader of the log was too slow; `count` lines were not written.", "Look at what reads the log."),
    "library": _event("warning", "logger text", "A library logged a warning or an error.", "Nothing, usually."),
}  # fmt: skip


class LogWriter:
    """The bounded queue and its thread. `emit` never blocks. `stream` has no buffer: nothing flushes it."""

    def __init__(self, stream: BinaryIO | FileIO, console: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._render = _console() if console else _json
        self._queue: queue.Queue[dict[str, object] | None] = queue.Queue(LINES_MAX)
        self._clock = clock
        self._seen: dict[tuple[object, ...], tuple[float, int]] = {}
        self.lost = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, event: str, fields: dict[str, object]) -> None:
        """Queue a line, unless the same one was queued a moment ago."""
        entry = CATALOGUE[event]
        assert fields.keys() <= set(entry.fields), f"{event} does not carry {fields.keys() - set(entry.fields)}"
        repeated = 0 if entry.repeats else self._repeated(event, entry, fields)
        if repeated < 0:
            return
        line = {"time": _now(), "level": entry.level, "event": event, **fields}
        if repeated:
            line["repeated"] = repeated
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self.lost += 1

    def _repeated(self, event: str, entry: LogEvent, fields: dict[str, object]) -> int:
        """How many equal lines were held back before this one; -1 to hold back this one too. Only complaints are."""
        if entry.level == "info":
            return 0
        key = (event, *(str(fields.get(name)) for name in ("reason", "path", "archive", "logger") if name in fields))
        first, count = self._seen.get(key, (float("-inf"), 0))
        now = self._clock()
        if now - first < REPEAT_S:
            self._seen[key] = (first, count + 1)
            return -1
        if len(self._seen) > LINES_MAX:
            self._seen.clear()
        self._seen[key] = (now, 0)
        return count

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what is queued, as far as the reader takes it in this time. Once is enough."""
        if self._closed:
            return
        self._closed = True
        try:
            self._queue.put(None, timeout=timeout_s)
        except queue.Full:
            return
        self._thread.join(timeout_s)

    def _run(self) -> None:
        said = 0
        while True:
            line = self._queue.get()
            if self.lost > said and self._queue.empty():
                self._write({"time": _now(), "level": "warning", "event": "lines_lost", "count": self.lost - said})
                said = self.lost
            if line is None:
                return
            self._write(line)

    def _write(self, line: dict[str, object]) -> None:
        try:
            rest = self._render(line)
            while rest:
                written = self._stream.write(rest)
                if not written:
                    raise BlockingIOError(errno.EAGAIN, "the stream takes nothing now")
                rest = rest[written:]
        except Exception:  # noqa: BLE001 -- whatever is wrong with a line or its reader, the next one is written
            self.lost += 1


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(line: dict[str, object]) -> bytes:
    try:
        return orjson.dumps(line, default=str, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # lone surrogates, in a path for example
        clean = {name: str(value).encode("utf-8", "backslashreplace").decode() for name, value in line.items()}
        return orjson.dumps(clean, option=orjson.OPT_APPEND_NEWLINE)


def _console() -> Callable[[dict[str, object]], bytes]:
    import structlog  # a third of the start of every command, and needed only by a person at a console

    renderer = structlog.dev.ConsoleRenderer(colors=True, timestamp_key="time", pad_event_to=18, sort_keys=False)
    return lambda line: (str(renderer(None, "", dict(line))) + "\n").encode("utf-8", "backslashreplace")


_writer: LogWriter | None = None


def start(stream: BinaryIO | FileIO | None = None, console: bool | None = None) -> LogWriter:
    """Begin to write the log, to standard output unless a stream is given. Lines emitted before are not kept."""
    global _writer
    # A stream without a buffer: the thread that waits for the reader would hold the lock of the buffer of `sys.stdout`, which
    # the interpreter takes when it ends, to flush it.
    stream = stream or FileIO(sys.stdout.fileno(), "wb", closefd=False)
    _writer = LogWriter(stream, sys.stdout.isatty() if console is None else console)
    atexit.register(_writer.close)
    root = logging.getLogger()
    root.handlers = [_LibraryLines()]
    root.setLevel(logging.WARNING)
    return _writer


def emit(event: str, **fields: object) -> None:
    """Log an event of the catalogue. Without `start` (in tests, in other commands) it goes nowhere."""
    assert event in CATALOGUE, event
    if _writer is not None:
        _writer.emit(event, fields)


def flush() -> None:
    """Write what is queued and stop logging."""
    if _writer is not None:
        _writer.close()


def lines_lost() -> int:
    """How many lines were not written because the reader was too slow."""
    return _writer.lost if _writer else 0


class _LibraryLines(logging.Handler):
    """What libraries log, as events of the catalogue: the first line, without the traceback.

    Never raises: an error here would be raised inside the library, in the middle of its work.
    """

    def emit(self, record: logging.LogRecord) -> None:
        emit("library", logger=record.name, text=_first_line(record)[:300])


def _first_line(record: logging.LogRecord) -> str:
    """The first line that says something; the format as it stands if its arguments do not fit it."""
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001 -- any error of a foreign `__str__` or format; the line is worth more than its values
        text = f"{record.msg!r:.200} with arguments that do not fit" if isinstance(record.msg, str) else "unprintable"
    return next((line for line in text.splitlines() if line.strip()), "")
