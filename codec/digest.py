"""Digests: small documents that list the sealed archives of one instance, each with the SHA-256 of the document before it.

Pure. Role: the bytes of `digests/<instance>/<number>.digest`. One line of JSON is the document; a second line may hold a signature of the
first. Invariants: the SHA-256 and the signature cover the bytes of the first line with its newline, as they are, so that members of a
later version are covered too. Bytes that are no digest raise CodecError and nothing else. Source: FORMAT.md.
"""

import binascii
import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from codec.counted import counted
from codec.errors import Corrupt, TooLarge, Truncated, UnsupportedVersion
from codec.event import TIME_US_MAX, TIME_US_MIN
from codec.limits import DIGEST_BYTES_MAX, DIGEST_ENTRIES_MAX, DIGEST_KEPT_MAX, DIGEST_TEXT_MAX

T = TypeVar("T")

VERSION = 1
SIGNATURE_BYTES = 64  # of ed25519

_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Sequence = Annotated[int, Meta(ge=1, le=10**18 - 1)]
_Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
_Text = Annotated[str, Meta(max_length=DIGEST_TEXT_MAX)]
_Path = Annotated[str, Meta(min_length=1, max_length=DIGEST_TEXT_MAX)]
_Time = Annotated[int, Meta(ge=TIME_US_MIN, le=TIME_US_MAX)]


class DigestKind(StrEnum):
    """Why a digest was made."""

    INTERVAL = "interval"  # the interval had ended
    RETIREMENT = "retirement"  # policy is about to remove archives


class ListedArchive(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed archive, as it was when the digest was made. `path`: below the archive directory.

    `original`: SHA-256 of the file as it was first sealed; it equals `sha256` if the archive was never rewritten. `head`: checksum of the
    head, in hexadecimal. `footer`: SHA-256 of the footer and the seek table. Both are None if they cannot be read. The events are None
    if no batch can be read. Times are in microseconds since 1970.
    """

    path: _Path
    sequence: _Sequence
    size: _Count
    sha256: _Sha256
    original: _Sha256
    head: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")] | None
    footer: _Sha256 | None
    events: _Count
    batches: _Count
    first_event: _Count | None = None
    last_event: _Count | None = None
    first_arrived_us: _Time | None = None
    last_arrived_us: _Time | None = None


class RetiredArchive(msgspec.Struct, frozen=True, kw_only=True):
    """An archive that policy removes from one place. `where`: LOCAL, or the URL of the destination.

    `kept`: the other places at which the archive was verified before it was removed. `reason`: the policy, for people.
    """

    path: _Path
    sequence: _Sequence
    sha256: _Sha256
    where: _Path
    kept: Annotated[tuple[_Path, ...], Meta(max_length=DIGEST_KEPT_MAX)] = ()
    reason: _Text = ""
    time_us: _Time


LOCAL = "local"  # in `where` and `kept`: the archive directory itself


class Digest(msgspec.Struct, frozen=True, kw_only=True):
    """One document. `previous`: SHA-256 of the document before it; None for number 1.

    The span from `from_us` to `until_us` begins where that of the document before ended. `archives`: all sealed archives that existed at
    `until_us` and were not listed before, and those that were rewritten since they were listed. `interval_us`: the time after which the
    next document is due. `clock_us`: the time of the clock, only if it was before `from_us`, because it went back.
    """

    version: int = VERSION
    instance: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
    number: _Sequence
    previous: _Sha256 | None
    from_us: _Time
    until_us: _Time
    kind: DigestKind
    interval_us: _Count
    archives: Annotated[tuple[ListedArchive, ...], Meta(max_length=DIGEST_ENTRIES_MAX)] = ()
    retired: Annotated[tuple[RetiredArchive, ...], Meta(max_length=DIGEST_ENTRIES_MAX)] = ()
    clock_us: _Time | msgspec.UnsetType = msgspec.UNSET

    @property
    def made_us(self) -> int:
        """When it was made, by the clock."""
        return self.until_us if self.clock_us is msgspec.UNSET else self.clock_us


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """The second line. `key`: the first 16 hexadecimal digits of the SHA-256 of the public key. `ed25519`: the signature in base64."""

    key: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
    ed25519: Annotated[str, Meta(max_length=128)]

    @classmethod
    def of(cls, key: str, raw: bytes) -> "Signature":
        """The line of a signature of SIGNATURE_BYTES bytes."""
        return cls(key=key, ed25519=b64encode(raw).decode())

    @property
    def raw(self) -> bytes:
        """The signature. Raises Corrupt."""
        try:
            found = b64decode(self.ed25519, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Corrupt(f"signature: {error}") from error
        if len(found) != SIGNATURE_BYTES:
            raise Corrupt(f"signature of {counted(len(found), 'byte')}, {SIGNATURE_BYTES} expected")
        return found


@dataclass(frozen=True, slots=True)
class StoredDigest:
    """A digest as it is stored. `line`: the bytes of the document with its newline. `sha256`: of these bytes."""

    digest: Digest
    line: bytes
    signature: Signature | None = None

    @property
    def sha256(self) -> str:
        """What the next document names as `previous`."""
        return hashlib.sha256(self.line).hexdigest()

    @property
    def raw(self) -> bytes:
        """The bytes of the whole file."""
        return self.line + (msgspec.json.encode(self.signature) + b"\n" if self.signature else b"")


class _Versioned(msgspec.Struct, frozen=True):
    version: int


def encode_digest(digest: Digest) -> bytes:
    """The line of a document, with its newline. Raises CodecError for a value that `decode_digest` refuses."""
    try:
        line = msgspec.json.encode(digest) + b"\n"
    except UnicodeEncodeError as error:
        raise Corrupt(f"digest: {error}") from error
    _check_size(len(line))
    _document(line)
    return line


def decode_digest(raw: bytes) -> StoredDigest:
    """The digest in the bytes of a file. Its signature is parsed and not verified. Raises CodecError."""
    _check_size(len(raw))
    if not raw.endswith(b"\n"):
        raise Truncated("digest without a newline at its end")
    line, _, rest = raw.partition(b"\n")
    if rest.count(b"\n") > 1:
        raise Corrupt("digest of more than two lines")
    line += b"\n"
    digest = _document(line)
    signature = _parse(rest, Signature) if rest else None
    if signature:
        _ = signature.raw  # raises Corrupt
    return StoredDigest(digest, line, signature)


def _parse(line: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Corrupt(f"{'signature' if kind is Signature else 'digest'}: {error}") from error


def _check_size(size: int) -> None:
    if size > DIGEST_BYTES_MAX:
        raise TooLarge(f"digest of {counted(size, 'byte')}, {DIGEST_BYTES_MAX} at most")


def _document(line: bytes) -> Digest:
    version = _parse(line, _Versioned).version
    if version > VERSION:
        raise UnsupportedVersion(f"digest of version {version}, this Deedbox reads up to version {VERSION}")
    if version < 1:
        raise Corrupt(f"digest of version {version}")
    digest = _parse(line, Digest)
    _check_values(digest)
    return digest


def _check_values(digest: Digest) -> None:
    """What the types do not check."""
    if (digest.number == 1) != (digest.previous is None):
        raise Corrupt(f"digest {digest.number} with previous {digest.previous}")
    if digest.from_us > digest.until_us:
        raise Corrupt(f"digest from {digest.from_us} until {digest.until_us}")
    if digest.made_us > digest.until_us:
        raise Corrupt(f"digest until {digest.until_us} by a clock at {digest.made_us}")
    sequences = [one.sequence for one in digest.archives]
    if len(set(sequences)) != len(sequences):
        raise Corrupt("digest that lists an archive twice")
    for path in _paths(digest):
        if any(part in ("", ".", "..") for part in path.split("/")) or "\0" in path:
            raise Corrupt(f"digest with the path {path!r}, a path below the archive directory expected")
    for one in digest.archives:
        ends = one.first_event, one.last_event
        if None in ends and ends != (None, None):
            raise Corrupt(f"archive {one.sequence} with first event {one.first_event} and last event {one.last_event}")


def _paths(digest: Digest) -> Iterable[str]:
    yield from (one.path for one in digest.archives)
    yield from (one.path for one in digest.retired)


def check_follows(before: StoredDigest | None, after: Digest) -> None:
    """Check that `after` is the document after `before`; None: that it is the first one. Raises Corrupt, which names the difference."""
    expected = (
        (before.digest.number + 1, before.sha256, before.digest.instance) if before else (1, None, after.instance)
    )
    found = after.number, after.previous, after.instance
    for name, one, other in zip(("number", "previous", "instance"), found, expected, strict=True):
        if one != other:
            raise Corrupt(f"{name} {one}, expected {other}")
    if before and after.from_us != before.digest.until_us:
        raise Corrupt(
            f"its span begins at {after.from_us}, expected {before.digest.until_us}: the end of the one before"
        )
