"""Join the side files of a directory with the object that is there: the union of their lines. Pure.

Role: several copies of a directory may be shipped to one destination. Invariant: no line that was shipped ever goes, so that an older copy
brings no deleted event back. `undelete` reaches the destination nevertheless, because it adds a line.
"""

import msgspec


def union(there: bytes, local: bytes) -> bytes:
    """The lines of both, each once, those of the object first. A line of the object that is no JSON object is left out: no reader accepts it."""
    kept = [line for line in there.splitlines() if _is_entry(line)]
    return b"".join(line + b"\n" for line in dict.fromkeys([*kept, *local.splitlines()]))


def _is_entry(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
