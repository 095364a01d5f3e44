"""The file monitor, and the lines that are appended to files.

Invariant: snapshots of the files decide what has changed. A backend only reports which files to check, so inotify and
polling give the same events.
"""

from consumer.watch.backend import Backend, BackendName
from consumer.watch.backends import available, choose
from consumer.watch.monitor import FileEvent, FileMonitor
from consumer.watch.snapshot import FileEventKind

__all__ = ["Backend", "BackendName", "FileEvent", "FileEventKind", "FileMonitor", "available", "choose"]
