"""The log events of archives."""

from consumer.log import Level, LogEvent

ARCHIVE_OPENED = LogEvent("archive_opened", Level.INFO, ("archive",), "A new archive is open for batches.")
ARCHIVE_SEALED = LogEvent(
    "archive_sealed",
    Level.INFO,
    ("archive", "path", "events", "bytes", "reason"),
    "An archive is sealed. It is complete and read-only.",
)
ARCHIVE_REPACKED = LogEvent(
    "archive_repacked",
    Level.INFO,
    ("path", "bytes", "saved"),
    "The batches of a sealed archive were merged. Events and positions are the same; the file is `saved` bytes smaller.",
)
REPACK_FAILED = LogEvent(
    "repack_failed",
    Level.WARNING,
    ("path", "reason"),
    "A sealed archive could not be repacked. It is complete, and larger than necessary.",
    "Nothing: Deedbox tries again at the next start. If it repeats, correct the cause in `reason`.",
)
ARCHIVE_ABANDONED = LogEvent(
    "archive_abandoned",
    Level.ERROR,
    ("archive", "reason", "detail"),
    "A write or a sync failed. Deedbox writes nothing more to this archive, and recovers it when the disk allows.",
    "Check the disk.",
)
DIRECTORY_UNSYNCED = LogEvent(
    "directory_unsynced",
    Level.WARNING,
    ("path", "archive"),
    "A directory could not be synced after an archive in it was renamed. Nothing is lost: Deedbox syncs the directory before it acknowledges a delivery that depends on it.",
    "Check the disk.",
)
UNSUPPORTED_FILE_SYSTEM = LogEvent(
    "unsupported_file_system",
    Level.WARNING,
    ("directory", "type", "reason"),
    "The archive directory is on a file system that may lose acknowledged events. `reason` is the cause.",
    "Move the archive directory to a local ext4, xfs or btrfs file system.",
)
WATERMARK_FAILED = LogEvent(
    "watermark_failed",
    Level.WARNING,
    ("path", "reason"),
    "The watermark could not be written. Nothing is lost. Until it can be written, other processes treat some committed events of the open archive as not committed.",
    "Check the disk and the permissions of the file.",
)
EVENTS_LOST = LogEvent(
    "events_lost",
    Level.ERROR,
    ("archive", "path", "events"),
    "`events` archived and acknowledged events are missing from the archive. Another process removed, replaced or changed its file.",
    "Find the process that changes the archive directory. Put the file, or a copy of it, back.",
)
RECOVERED = LogEvent(
    "recovered",
    Level.WARNING,
    ("path", "outcome", "events", "torn_bytes", "gaps", "sealed"),
    "An archive was recovered after a run that did not end cleanly. `torn_bytes` were cut off its end, and a copy of them was kept. `gaps`: how many places may have held acknowledged events.",
    "Nothing if `gaps` is 0. Otherwise run `deedbox verify`, which reports the losses.",
)
RECOVERY_AWAITED = LogEvent(
    "recovery_awaited",
    Level.WARNING,
    ("path",),
    "Another instance of the directory is recovering the archives of this one. The start waits until it has finished.",
    "Nothing. If it does not finish, check the other instance.",
)
RECOVERY_DEFERRED = LogEvent(
    "recovery_deferred",
    Level.ERROR,
    ("path", "reason"),
    "A file could not be read, written or recovered now. Deedbox tries again later.",
    "Check the disk and the permissions of the file.",
)
