"""Events as Parquet files, partitioned by day and type: `day=2026-11-21/type=compute.instance.create/…`.

The only module that imports pyarrow, which is the extra `parquet`. Invariants: a file has its name only when it is whole and durable; a row
holds what a JSON line shows, and body and header as they were as well.
"""

import errno
import shutil
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson

from codec import jsonl
from codec.event import format_time
from consumer.archive.durable import Disk
from consumer.errors import Exit, Fatal
from consumer.query.search import Found

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 8192
_TYPE_BYTES = 60  # three times as many, percent-encoded, fit into the name of a directory


def write_parquet(disk: Disk, found: Iterable[Found], out: Path) -> tuple[int, list[Path]]:
    """Write a dataset below `out`; gives the number of events, and the files.

    Raises Fatal without pyarrow, FileExistsError if `out` holds Parquet files already, and OSError.
    """
    try:
        import pyarrow as pa
        import pyarrow.dataset as ds
    except ImportError as error:
        raise Fatal(Exit.SETTINGS, "Parquet needs pyarrow", "install deedbox[parquet]") from error
    if next(out.rglob("*.parquet"), None) is not None:
        what = "holds Parquet files already, and a second export would count its events twice; name another directory"
        raise FileExistsError(errno.EEXIST, what, str(out))
    schema = _schema()
    files: list[Path] = []
    count = 0

    def batches() -> Iterator[Any]:
        nonlocal count
        source = iter(found)
        while rows := [_row(one) for one in islice(source, ROWS)]:
            count += len(rows)
            yield pa.RecordBatch.from_pylist(rows, schema)

    day_and_type = pa.schema([("day", pa.string()), ("type", pa.string())])
    part = out / f".{uuid4().hex}.part"
    disk.make_directory(part.absolute())
    try:
        ds.write_dataset(
            batches(), part, schema=schema, format="parquet", partitioning=ds.partitioning(day_and_type, flavor="hive"),
            basename_template=f"{uuid4().hex}-{{i}}.parquet", max_partitions=65_536, max_open_files=256,
            file_visitor=lambda written: files.append(Path(written.path)),
        )  # fmt: skip
        return count, [_publish(disk, path, out / path.relative_to(part)) for path in files]
    finally:
        shutil.rmtree(part)


def _publish(disk: Disk, path: Path, target: Path) -> Path:
    disk.sync_path(path)
    disk.make_directory(target.parent.absolute())
    disk.rename(path, target)
    return target


def _schema() -> "pa.Schema":
    import pyarrow as pa

    instant, text = pa.timestamp("us", tz="UTC"), pa.string()
    return pa.schema([
        ("day", text), ("type", text), ("event_type", text), ("time", instant), ("id", text), ("tags", pa.list_(text)), ("exchange", text),
        ("routing_key", text), ("redelivered", pa.bool_()), ("duplicate", text), ("arrived", instant),
        ("properties", text), ("headers", text), ("header", pa.binary()), ("body", pa.binary()), ("text", text),
        ("position", text),
    ])  # fmt: skip


def _row(found: Found) -> dict[str, object]:
    event = found.event
    line = orjson.loads(jsonl.encode(event, found.position))
    return {
        "day": format_time(event.time_us)[:10], "type": _partition(line["type"]), "event_type": line["type"], "time": event.time_us, "id": line["id"],
        "tags": line["tags"], "exchange": line["exchange"], "routing_key": line["routing_key"],
        "redelivered": event.redelivered, "duplicate": event.duplicate or None, "arrived": event.arrived_us,
        "properties": orjson.dumps(line["properties"]).decode(), "headers": orjson.dumps(line["headers"]).decode(),
        "header": event.header, "body": event.body, "text": line.get("body"), "position": found.position,
    }  # fmt: skip


def _partition(kind: str) -> str | None:
    """A type as the name of a directory; a long one is shortened, and stands whole in `event_type`."""
    if len(kind.encode()) <= _TYPE_BYTES:
        return kind or None
    return (
        f"{kind.encode()[:_TYPE_BYTES].decode('utf-8', 'ignore')}~{blake2b(kind.encode(), digest_size=8).hexdigest()}"
    )
