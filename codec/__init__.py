"""Encode and decode bytes: AMQP headers, KVP records, archives and the file formats of other systems. No I/O.

`Event` is the value. `amqp`, `kvp` and `archive` are the three layers of bytes around it (see FORMAT.md). `jsonl` encodes it as
a line of JSON. `foreign` holds the formats of other systems.
"""

from codec.errors import CodecError, Corrupt, TooLarge, Truncated, UnsupportedVersion
from codec.event import Event, format_time, parse_time

__all__ = [
    "CodecError", "Corrupt", "Event", "TooLarge", "Truncated", "UnsupportedVersion", "format_time", "parse_time",
]  # fmt: skip
