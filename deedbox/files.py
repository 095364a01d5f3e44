"""The file monitor: existing files and directories, and changes to them. See `consumer.watch.monitor`."""

from consumer.watch import Backend, BackendName, FileEvent, FileEventKind, FileMonitor, available, choose

__all__ = ["Backend", "BackendName", "FileEvent", "FileEventKind", "FileMonitor", "available", "choose"]
