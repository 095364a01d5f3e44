"""A file that an export writes.

Invariant: the file has its final name only when it is whole and durable, and it never replaces another file.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from consumer.disk.durable import Disk

_BUFFER_BYTES = 1 << 20


class OutputFile:
    """A file with a temporary name until `finish`. Raises FileExistsError if a file of the final name exists, and OSError."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self._disk, self._path = disk, path
        _refuse_existing(path)
        # The temporary name is unique: two exports into one directory may run at the same time.
        self._part = path.with_name(f"{path.name}.{uuid4().hex[:8]}.part")
        self._fd = -1  # until `create`
        self._buffer = bytearray()

    def create(self) -> None:
        """Create the file. `close` removes it, also if a signal ends the command within this call."""
        self._fd = self._disk.create(self._part)

    def write(self, raw: bytes) -> None:
        """Append bytes. They may stay in memory until `finish`."""
        self._buffer += raw
        if len(self._buffer) >= _BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._disk.append(self._fd, bytes(self._buffer))
        self._buffer.clear()

    def finish(self, name: str | None = None) -> Path:
        """Make the file durable and give it its final name, or `name`. Returns its path. Raises FileExistsError and OSError."""
        self._flush()
        self._disk.sync(self._fd)
        target = self._path if name is None else self._path.with_name(name)
        _refuse_existing(target)
        self._disk.rename(self._part, target)
        return target

    def close(self) -> None:
        """Close the file, and remove it if it is not finished."""
        if self._fd >= 0:
            self._disk.close(self._fd)
        self._part.unlink(missing_ok=True)


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise FileExistsError(errno.EEXIST, "exists, and no file is ever replaced", str(path))


@contextmanager
def output_file(disk: Disk, path: Path) -> Iterator[OutputFile]:
    """A new file with the final path `path`. If it is not finished at the end of the block, it is removed."""
    made = OutputFile(disk, path)
    try:
        made.create()
        yield made
    finally:
        made.close()
