"""The log events of the file monitor and of followed files."""

from consumer.log import Level, LogEvent

FILE_ROTATED = LogEvent(
    "file_rotated",
    Level.INFO,
    ("path",),
    "A watched file was renamed, and a new file has its name. The old file is read to its end.",
)
FILE_GONE = LogEvent(
    "file_gone",
    Level.WARNING,
    ("path", "position", "unread"),
    "A file was still being read when `watch` stopped, and cannot be found now. It was removed, compressed or moved to another directory, or its new name proves nothing because less than 1 KiB of it was read. Its bytes after `position` are not published: `unread` bytes at the last check, and all bytes that were written later.",
    "Rotate into the same directory. Do not compress or remove a file before it has been read.",
    repeats=True,
)
FILE_TRUNCATED = LogEvent(
    "file_truncated",
    Level.WARNING,
    ("path", "size", "position"),
    "A watched file no longer has the bytes that were read from it. Deedbox reads it from the beginning. If a copy of the old content exists, Deedbox also reads the copy from `position`.",
    "Rotate by renaming. Bytes that are written between the copy and the truncation are lost.",
)
WATCH_FALLBACK = LogEvent(
    "watch_fallback",
    Level.WARNING,
    ("backend", "reason"),
    "File events of the kernel are not available. Deedbox polls the files.",
    "Nothing, or raise fs.inotify.max_user_instances and fs.inotify.max_user_watches.",
)
WATCH_FAILED = LogEvent(
    "watch_failed",
    Level.WARNING,
    ("reason",),
    "A file or a directory could not be watched or read, or the state file could not be written. Deedbox tries again.",
    "Correct the cause in `reason`: raise fs.inotify.max_user_watches, or give access to the file.",
)
