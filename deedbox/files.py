"""The file monitor: what exists in files and directories, and what happens to them. See `consumer.watch.monitor`."""

from consumer.watch import Backend, BackendName, FileEvent, FileEventKind, FileMonitor, available, choose

__all__ = ["Backend", "BackendName", "FileEvent", "FileEventKind", "FileMonitor", "available", "choose"]
