"""Events as Parquet files, partitioned by day and type: `day=2026-11-21/type=compute.instance.create/…`.

The extra `parquet` installs pyarrow. Invariants: a file has its final name only when it is whole and durable. A row has the columns of
`consumer.query.arrow_columns`; the type is `event_type` there, because the directories have the column `type`.
"""

import errno
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote
from uuid import uuid4

from codec.event import Event, format_time
from codec.jsonl import clean
from consumer.disk.durable import Disk
from consumer.errors import Exit, Fatal
from consumer.query.arrow_columns import COLUMNS, Rows, record_batch, schema
from consumer.query.search import Found

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

ROWS = 8192
BYTES_MAX = (
    32 << 20
)  # bodies of a batch, which may exceed it by one body; memory holds them twice while they are written
FILES_MAX = 256  # open at the same time
_COLUMNS = tuple(COLUMNS)
_NAMES = ["event_type" if name == "type" else name for name in COLUMNS]
_TYPE_BYTES = 60  # percent-encoding may triple it, and the result must fit into the name of a directory


def write_parquet(disk: Disk, found: Iterable[Found], out: Path) -> tuple[int, list[Path]]:
    """Write a dataset below the directory `out`. Returns the number of events, and the files.

    Raises Fatal if pyarrow is not installed, FileExistsError if `out` holds Parquet files already, and OSError.
    """
    try:
        import pyarrow.parquet  # noqa: F401 -- fails here, before any directory is made
    except ImportError as error:
        raise Fatal(Exit.SETTINGS, "Parquet needs pyarrow", "install deedbox[parquet]") from error
    if next(out.rglob("*.parquet"), None) is not None:
        what = "holds Parquet files already, and a reader would read the events of both exports; name another directory"
        raise FileExistsError(errno.EEXIST, what, str(out))
    part = out / f".{uuid4().hex}.part"
    disk.make_directory(part.absolute())
    try:
        with closing(_Dataset(part)) as dataset:
            count = sum(map(dataset.write, _batches(found)))
            dataset.finish()
        return count, [_publish(disk, path, out / path.relative_to(part)) for path in dataset.files]
    except OSError as error:  # an OSError of pyarrow has no file name
        raise OSError(error.errno, error.strerror or str(error), error.filename or str(out)) from error
    finally:
        shutil.rmtree(part)


def _batches(found: Iterable[Found]) -> Iterator[list[Found]]:
    """The events in lists of at most ROWS. A list also ends when its bodies and headers reach BYTES_MAX."""
    batch: list[Found] = []
    size = 0
    for one in found:
        batch.append(one)
        size += len(one.event.body) + len(one.event.header)
        if len(batch) >= ROWS or size >= BYTES_MAX:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class _Dataset:
    """Writes the files of a dataset. `files`: the finished ones.

    pyarrow's own dataset writer is not used: it queues batches without a limit in bytes, and its threads abort the process if
    the disk is full.
    """

    def __init__(self, directory: Path) -> None:
        self.files: list[Path] = []
        self._directory, self._schema = directory, _schema()
        self._open: dict[Path, tuple[Path, pq.ParquetWriter]] = {}
        self._name = uuid4().hex
        self._made = 0

    def write(self, batch: Sequence[Found]) -> int:
        """Write a batch as one row group per directory. Returns the number of events."""
        groups: dict[Path, list[Found]] = {}
        for one in batch:
            groups.setdefault(self._directory / _directory(one.event), []).append(one)
        for directory, found in groups.items():
            rows = Rows([one.event for one in found], (one.position for one in found))
            self._writer(directory).write_batch(record_batch(rows, _COLUMNS).rename_columns(_NAMES))
        return len(batch)

    def _writer(self, directory: Path) -> "pq.ParquetWriter":
        import pyarrow.parquet as pq

        if directory not in self._open:
            if len(self._open) >= FILES_MAX:
                self._finish(next(iter(self._open)))
            directory.mkdir(parents=True, exist_ok=True)
            path = directory / f"{self._name}-{self._made}.parquet"
            self._made += 1
            self._open[directory] = path, pq.ParquetWriter(path, self._schema)
        return self._open[directory][1]

    def _finish(self, directory: Path) -> None:
        path, writer = self._open.pop(directory)
        writer.close()
        self.files.append(path)

    def finish(self) -> None:
        """Finish all open files. Raises OSError."""
        for directory in list(self._open):
            self._finish(directory)

    def close(self) -> None:
        """Close the files that are not finished."""
        for _, writer in self._open.values():
            with suppress(OSError):
                writer.close()
        self._open.clear()


def _directory(event: Event) -> Path:
    """The directory of an event by Hive's convention: values are percent-encoded, and an empty type has Hive's default name."""
    partition = _partition(clean(event.type))
    name = "__HIVE_DEFAULT_PARTITION__" if partition is None else quote(partition, safe="")
    return Path(f"day={format_time(event.time_us)[:10]}", f"type={name}")


def _schema() -> "pa.Schema":
    import pyarrow as pa

    return pa.schema([field.with_name(name) for field, name in zip(schema(), _NAMES, strict=True)])


def _publish(disk: Disk, path: Path, target: Path) -> Path:
    disk.sync_path(path)
    disk.make_directory(target.parent.absolute())
    disk.rename(path, target)
    return target


def _partition(kind: str) -> str | None:
    """A type as the name of a directory. A long type is shortened with a hash; the column `event_type` holds it in full."""
    if len(kind.encode()) <= _TYPE_BYTES:
        return kind or None
    return (
        f"{kind.encode()[:_TYPE_BYTES].decode('utf-8', 'ignore')}~{blake2b(kind.encode(), digest_size=8).hexdigest()}"
    )
