"""Bytes and values: what an AMQP delivery, a KVP record and an archive mean. No I/O of any kind happens in here.

`Event` is the value; `amqp`, `kvp` and `archive` are the three layers of bytes around it (FORMAT.md); `jsonl` shows it.
`shoebox`, `theia` and `cloudinit` are the bytes of others.
"""

from codec.errors import CodecError, Corrupt, TooLarge, Truncated, UnsupportedVersion
from codec.event import Event, format_time, parse_time

__all__ = [
    "CodecError", "Corrupt", "Event", "TooLarge", "Truncated", "UnsupportedVersion", "format_time", "parse_time",
]  # fmt: skip
