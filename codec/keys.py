"""Fields of KVP keys: percent-encoded where they must be, and shortened with a hash where they are too long.

Pure. Invariant: a field holds no `|` and no NUL, is cut inside of no character and no escape, and different values give
different fields.
"""

import re
from hashlib import blake2b

_UNSAFE = re.compile("[|%\x00-\x1f\x7f\ud800-\udfff]")
_HASH = re.compile("[0-9a-f]{16}")
_UNSAFE_ASCII = re.compile("[^ -~]|[|%]")


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass"))


def key_field(value: str, units: int, ascii_only: bool = False) -> str:
    """`value` as a field of a key: percent-encoded where needed, and shortened to `units` bytes with a hash."""
    unsafe = _UNSAFE_ASCII if ascii_only else _UNSAFE
    safe = unsafe.sub(_percent, value)
    if len(safe) * 4 <= units:
        return safe
    encoded = safe.encode()
    if len(encoded) <= units:
        return safe
    digest = blake2b(value.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    head = encoded[: units - 17].decode("utf-8", "ignore")
    if "%" in head[-2:]:
        head = head[: head.rindex("%")]
    return f"{head}~{digest}"


def looks_shortened(field: str) -> bool:
    """Whether a field ends as one that was shortened; also a value may."""
    return field[-17:-16] == "~" and _HASH.fullmatch(field, len(field) - 16) is not None
