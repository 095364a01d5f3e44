"""Compare an archive with the object of the same name: is it there, is it the same, may it be replaced? Pure.

Invariants: SAME only if the object has the size of the archive and its SHA-256, or the same footer of the same original. Nothing that
a destination holds counts as replaceable unless the local file is a rewriting of the same original.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

SHA256, ORIGINAL, FOOTER = "sha256", "original", "footer"  # the attributes of an object


class Difference(Enum):
    """The result of a comparison."""

    ABSENT = "absent"  # no object of this name
    SAME = "same"
    REWRITTEN = "rewritten"  # the local file is a rewriting of the object, or of the same original
    OTHER = "other"  # other content of the same name: never overwritten
    UNKNOWN = "unknown"  # the SHA-256 of the local file, of the object or of both must be computed first


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an archive or of an object, without reading it. None: not known.

    `sha256`: of the content. `original`: SHA-256 of the archive as it was first sealed. `footer`: the checksum of its
    footer, which covers the checksums of all batches, in hexadecimal.
    """

    size: int
    sha256: str | None = None
    original: str | None = None
    footer: str | None = None

    @property
    def is_rewritten(self) -> bool:
        """Whether the archive is known to have been written again since it was sealed."""
        return self.original is not None and self.original != self.sha256

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes of the object."""
        known = {SHA256: self.sha256, ORIGINAL: self.original, FOOTER: self.footer}
        return {name: value for name, value in known.items() if value is not None}


def facts_of(size: int, attributes: Mapping[str, str]) -> Facts:
    """The facts of an object, by its size and its attributes."""
    return Facts(size, attributes.get(SHA256), attributes.get(ORIGINAL), attributes.get(FOOTER))


def compare(local: Facts, there: Facts | None) -> Difference:
    """How an object differs from a local archive."""
    if there is None:
        return Difference.ABSENT
    if there.sha256 is None:
        return Difference.UNKNOWN
    same = _is_same(local, there)
    if same is None:
        return Difference.UNKNOWN
    if same:
        return Difference.SAME
    if local.is_rewritten and local.original in (there.original, there.sha256):
        return Difference.REWRITTEN
    return Difference.OTHER


def _is_same(local: Facts, there: Facts) -> bool | None:
    """Whether the contents are equal; None if that is not known."""
    if local.size != there.size:
        return False
    if local.sha256 is not None:
        return local.sha256 == there.sha256
    if local.footer is None or there.footer is None or local.original is None or there.original is None:
        return None
    return (local.footer, local.original) == (there.footer, there.original)
