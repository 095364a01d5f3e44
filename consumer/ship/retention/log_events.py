"""The log events of retention."""

from consumer.log import Level, LogEvent

ARCHIVE_REMOVED = LogEvent(
    "archive_removed",
    Level.INFO,
    ("archive", "where", "path", "bytes", "reason"),
    "Retention removed an archive. `where`: `local`, or the URL of the destination. The digests record it as retired.",
)
RETENTION_BLOCKED = LogEvent(
    "retention_blocked",
    Level.WARNING,
    ("where", "archives", "bytes", "archive", "reason"),
    "The limits ask for the removal of `archives` archives that must stay. `archive` and `reason`: the oldest one, and why it stays.",
    "Correct the cause in `reason`: ship the archives, let the follower continue or remove its checkpoint, or raise the limits.",
)
RETENTION_FAILED = LogEvent(
    "retention_failed",
    Level.ERROR,
    ("path", "reason", "wait_s"),
    "Retention of this directory ended with an error. Nothing more was removed. Deedbox tries again after `wait_s` seconds.",
    "Correct the cause in `reason`.",
)
