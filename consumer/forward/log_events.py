"""The log events of `watch`: lines of files that are published."""

from consumer.log import Level, LogEvent

WATCHING = LogEvent(
    "watching", Level.INFO, ("files", "exchange", "backend"), "New lines of `files` files are published."
)
WATCH_STOPPED = LogEvent(
    "watch_stopped",
    Level.INFO,
    ("published", "held"),
    "`watch` has stopped. `held` lines were read and not confirmed by the broker. With a state file, the next start publishes them. Without a state file, these lines and all lines not yet read are not published.",
)
PUBLISH_FAILED = LogEvent(
    "publish_failed",
    Level.WARNING,
    ("reason", "lines", "wait_s"),
    "Lines could not be published. Deedbox tries the same lines again after `wait_s` seconds.",
    "Check that the broker runs, that the exchange exists, and that a queue is bound to it.",
)
MESSAGE_REFUSED = LogEvent(
    "message_refused",
    Level.ERROR,
    ("path", "position", "bytes", "reason", "kept"),
    "The broker refused a message three times. The message was stored in the file `kept`, and publishing continues with the next one. Without a state file, the line is only in the watched file, before `position`.",
    "Correct the cause in `reason`, and publish the lines of `kept` by hand.",
    repeats=True,
)
