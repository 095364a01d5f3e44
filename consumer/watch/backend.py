"""A backend says in which directories something may have happened. The protocol that all backends follow."""

from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from consumer.watch.renames import Change

EVERYWHERE = None  # of `dirty`: anything may have happened


class Backend(Protocol):
    """Tells which of the directories it was given have seen something."""

    name: str
    priority: int
    sees_ends: bool  # of writing: without, a file that still grows is not told of

    def arm(self, directories: Collection[Path], /) -> bool:
        """Watch these directories and no others; whether one is watched that was not before: look at it again."""

    def dirty(self, timeout_s: float) -> set[Path] | None:
        """Directories in which something happened, as soon as there are some; EVERYWHERE after a loss."""

    def changes(self) -> list[Change] | None:
        """The renames and removals since the last call, in their order; None if some may not have been seen."""

    def interrupt(self) -> None:
        """End a `dirty` that waits, from another thread."""

    def close(self) -> None:
        """Watch nothing any more."""
