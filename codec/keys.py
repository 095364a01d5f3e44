"""Fields of KVP keys: percent-encoded, and shortened with a hash if they are too long.

Pure. Invariants: a field holds no `|` and no NUL; it is never cut within a character or an escape; different values give
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
    """`value` as a field of a key. A field of more than `units` bytes is shortened to that size and ends with a hash."""
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
    """Whether a field ends like a shortened one. A value that was not shortened can have such an end too."""
    return field[-17:-16] == "~" and _HASH.fullmatch(field, len(field) - 16) is not None
