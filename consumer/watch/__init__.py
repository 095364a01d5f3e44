"""What happens to files: monitors of files and directories, and the lines that are added to them.

The scanner is the truth: a backend only says where to look again, so inotify and polling tell the same story.
"""

from consumer.watch.backends import available, choose
from consumer.watch.monitor import FileEvent, Monitor
from consumer.watch.snapshot import Kind

__all__ = ["FileEvent", "Kind", "Monitor", "available", "choose"]
