"""The columns of events in Arrow, and record batches that hold some of them. SQL, the Python API and Parquet files share this definition.

Invariant: a value does not depend on the other columns. Text that is not UTF-8 is shown as in JSON lines (`codec.jsonl`). pyarrow, which
two extras of the package install, is imported when it is used.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import Enum, auto
from functools import cached_property
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from codec.event import Event
from codec.jsonl import clean, show_header
from consumer.errors import Exit, Fatal

if TYPE_CHECKING:
    import pyarrow as pa


class Rows:
    """Events that become the rows of a record batch. `positions`: one for each event; it is iterated only if the column is wanted."""

    def __init__(self, events: Sequence[Event], positions: Iterable[str]) -> None:
        self.events, self.positions = events, positions

    @cached_property
    def shown(self) -> list[dict[str, object]]:
        """Properties and headers of each event."""
        return [show_header(event.header) for event in self.events]

    def json(self, name: str) -> list[str]:
        """`properties` or `headers` of each event as the text of a JSON object."""
        return [orjson.dumps(found[name]).decode() for found in self.shown]


class Kind(Enum):
    """How the values of a column become an array."""

    TEXT = auto()
    TEXTS = auto()  # a list of texts
    FLAG = auto()
    INSTANT = auto()  # microseconds since 1970
    BYTES = auto()
    DECODED = auto()  # bytes as text; null if they are not UTF-8


class Column(NamedTuple):
    """A column. `field`: the field of Event that it shows; None for none. `values`: one for each row."""

    kind: Kind
    field: str | None
    values: Callable[[Rows], Iterable[Any]]


def _of(field: str) -> Callable[[Rows], Iterable[Any]]:
    at = Event._fields.index(field)
    return lambda rows: [event[at] for event in rows.events]


COLUMNS: dict[str, Column] = {
    "type": Column(Kind.TEXT, "type", _of("type")),
    "time": Column(Kind.INSTANT, "time_us", _of("time_us")),
    "id": Column(Kind.TEXT, "id", _of("id")),
    "tags": Column(Kind.TEXTS, "tags", _of("tags")),
    "exchange": Column(Kind.TEXT, "exchange", _of("exchange")),
    "routing_key": Column(Kind.TEXT, "routing_key", _of("routing_key")),
    "redelivered": Column(Kind.FLAG, "redelivered", _of("redelivered")),
    "duplicate": Column(Kind.TEXT, "duplicate", lambda rows: [event.duplicate or None for event in rows.events]),
    "arrived": Column(Kind.INSTANT, "arrived_us", _of("arrived_us")),
    "properties": Column(Kind.TEXT, "header", lambda rows: rows.json("properties")),
    "headers": Column(Kind.TEXT, "header", lambda rows: rows.json("headers")),
    "header": Column(Kind.BYTES, "header", _of("header")),
    "body": Column(Kind.BYTES, "body", _of("body")),
    "text": Column(Kind.DECODED, "body", _of("body")),
    "position": Column(Kind.TEXT, None, lambda rows: rows.positions),
}


def require() -> None:
    """Raise Fatal if pyarrow is not installed."""
    try:
        import pyarrow.dataset  # noqa: F401 -- only to see whether it is installed
    except ImportError as error:
        what = "Arrow needs the package pyarrow, which is not installed"
        raise Fatal(Exit.SETTINGS, what, "pip install 'deedbox[sql]'") from error


def fields_of(names: Iterable[str]) -> frozenset[str]:
    """The fields of Event that these columns show."""
    return frozenset(field for name in names if (field := COLUMNS[name].field))


def schema(names: Iterable[str] = COLUMNS) -> "pa.Schema":
    """The schema of these columns, in this order."""
    import pyarrow as pa

    types = {
        Kind.TEXT: pa.string(), Kind.TEXTS: pa.list_(pa.string()), Kind.FLAG: pa.bool_(),
        Kind.INSTANT: pa.timestamp("us", tz="UTC"), Kind.BYTES: pa.binary(), Kind.DECODED: pa.string(),
    }  # fmt: skip
    return pa.schema([(name, types[COLUMNS[name].kind]) for name in names])


def record_batch(rows: Rows, names: Sequence[str]) -> "pa.RecordBatch":
    """These columns of the rows, at least one."""
    import pyarrow as pa

    arrays = [_array(COLUMNS[name].kind, list(COLUMNS[name].values(rows))) for name in names]
    return pa.RecordBatch.from_arrays(arrays, schema=schema(names))


def _array(kind: Kind, values: list[Any]) -> "pa.Array":
    import pyarrow as pa

    match kind:
        case Kind.TEXT:
            return _texts(values)
        case Kind.TEXTS:
            ends = pa.array([0, *accumulate(map(len, values))], pa.int32())
            return pa.ListArray.from_arrays(ends, _texts(list(chain.from_iterable(values))))
        case Kind.FLAG:
            return pa.array(values, pa.bool_())
        case Kind.INSTANT:
            return pa.array(values, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
        case Kind.BYTES:
            return pa.array(values, pa.binary())
        case Kind.DECODED:
            return _decoded(values)


def _texts(values: list[str | None]) -> "pa.Array":
    import pyarrow as pa

    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:  # a lone surrogate
        return pa.array([None if value is None else clean(value) for value in values], pa.string())


def _decoded(values: list[bytes]) -> "pa.Array":
    import pyarrow as pa

    try:
        return pa.array(values, pa.binary()).cast(pa.string())  # checks all values at once
    except pa.ArrowInvalid:
        return pa.array(list(map(_text_or_none, values)), pa.string())


def _text_or_none(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None
