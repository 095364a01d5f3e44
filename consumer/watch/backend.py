"""The protocol of the backends. A backend reports in which directories something may have changed."""

from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from consumer.watch.renames import Rename

EVERYWHERE = None  # a result of `wait_for_changes`: every directory may have changed


class BackendName(StrEnum):
    """The backends, the best one first."""

    INOTIFY = "inotify"  # the kernel reports changes at once
    POLLING = "polling"  # every file is checked again and again: for network file systems, which report nothing
    STATIC = "static"  # reports the existing files at the start, and no later changes


class Backend(Protocol):
    """Reports which of the watched directories have changed.

    `reports_close`: whether a change is reported when its writer closes the file. Without it, a file that still grows
    between two checks is not reported as changed.
    """

    name: BackendName
    reports_close: bool

    def watch(self, directories: Collection[Path], /) -> bool:
        """Watch these directories and no others. Return True if one of them is new: its files must be checked again.

        Raises OSError if a directory cannot be watched.
        """

    def wait_for_changes(self, timeout_s: float) -> set[Path] | None:
        """Wait until something changes, at most `timeout_s` seconds. Return the directories; EVERYWHERE after a loss."""

    def renames(self) -> list[Rename] | None:
        """The renames and removals since the last call, in their order; None if some may have been missed."""

    def interrupt(self) -> None:
        """End a call of `wait_for_changes` in another thread."""

    def close(self) -> None:
        """Stop watching, and release the resources."""
