"""Digests as bytes: round trips, hostile input, and the chain."""

from collections.abc import Callable

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.digest import (
    LOCAL,
    Digest,
    DigestKind,
    ListedArchive,
    RetiredArchive,
    Signature,
    StoredDigest,
    check_follows,
    decode_digest,
    encode_digest,
)
from codec.errors import CodecError, Corrupt, TooLarge, UnsupportedVersion
from codec.event import TIME_US_MAX, TIME_US_MIN

SHA = "ab" * 32
ARCHIVE = ListedArchive(
    path="20261121/one.kvp.zst", sequence=7, size=425, sha256=SHA, original=SHA, head="0123456789abcdef", footer=SHA,
    events=3, batches=2, first_event=0, last_event=2, first_arrived_us=5, last_arrived_us=6,
)  # fmt: skip
RETIRED = RetiredArchive(
    path="20261120/one.kvp.zst", sequence=6, sha256=SHA, where=LOCAL, kept=("s3://bucket/prefix",), reason="older than 30 days", time_us=9
)  # fmt: skip
DIGEST = Digest(
    instance="a1", number=2, previous=SHA, from_us=10, until_us=20, kind=DigestKind.INTERVAL, interval_us=3_600_000_000,
    archives=(ARCHIVE,), retired=(RETIRED,),
)  # fmt: skip

times = st.integers(TIME_US_MIN, TIME_US_MAX)
counts = st.integers(0, 2**63 - 1)
shas = st.text("0123456789abcdef", min_size=64, max_size=64)
parts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=20).filter(
    lambda part: part not in (".", "..")
)
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)
spans = st.tuples(counts, counts) | st.just((None, None))
archives = st.builds(
    lambda ends, **members: ListedArchive(first_event=ends[0], last_event=ends[1], **members),
    spans, path=paths, sequence=st.integers(1, 10**18 - 1), size=counts, sha256=shas, original=shas,
    head=st.none() | st.just("0123456789abcdef"), footer=st.none() | shas, events=counts, batches=counts,
    first_arrived_us=st.none() | times, last_arrived_us=st.none() | times,
)  # fmt: skip
retired = st.builds(
    RetiredArchive, path=paths, sequence=st.integers(1, 10**18 - 1), sha256=shas, where=st.just(LOCAL) | paths,
    kept=st.lists(paths, max_size=3).map(tuple), reason=st.text(st.characters(exclude_categories=["Cs"]), max_size=30), time_us=times,
)  # fmt: skip
digests = st.builds(
    lambda span, number, sha, **members: Digest(
        from_us=min(span), until_us=max(span), number=number, previous=sha if number > 1 else None, **members
    ),
    st.tuples(times, times), st.integers(1, 10**18 - 1), shas, instance=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True),
    kind=st.sampled_from(DigestKind), interval_us=counts,
    archives=st.lists(archives, max_size=3, unique_by=lambda one: one.sequence).map(tuple), retired=st.lists(retired, max_size=3).map(tuple),
)  # fmt: skip


def altered(**changes: object) -> bytes:
    """The line of DIGEST with other members; None removes one."""
    members = msgspec.to_builtins(DIGEST) | changes
    return orjson.dumps({name: value for name, value in members.items() if value != "removed"}) + b"\n"


@given(digests)
def test_a_digest_comes_back(digest: Digest) -> None:
    line = encode_digest(digest)
    assert line.count(b"\n") == 1
    assert decode_digest(line) == StoredDigest(digest, line)


@given(digests, st.binary(min_size=64, max_size=64))
def test_a_signed_digest_comes_back(digest: Digest, signature: bytes) -> None:
    stored = StoredDigest(digest, encode_digest(digest), Signature.of("0123456789abcdef", signature))
    found = decode_digest(stored.raw)
    assert found == stored
    assert found.signature is not None
    assert found.signature.raw == signature


@given(st.binary() | st.binary().map(lambda raw: raw + b"\n") | st.text("{}[]:,\"'\n1aé").map(str.encode))
def test_other_bytes_are_a_codec_error(raw: bytes) -> None:
    with pytest.raises(CodecError):
        decode_digest(raw)


@given(st.data())
def test_a_damaged_digest_is_an_error_or_another_digest(data: st.DataObject) -> None:
    """The SHA-256 in the next digest notices it then. No other exception leaves the decoder."""
    raw = bytearray(StoredDigest(DIGEST, encode_digest(DIGEST), Signature.of("0123456789abcdef", bytes(64))).raw)
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    try:
        found = decode_digest(bytes(raw))
    except CodecError:
        return
    assert found.raw != StoredDigest(DIGEST, encode_digest(DIGEST)).raw


@given(st.integers(0, 10_000))
def test_a_digest_that_is_cut_short_is_an_error(size: int) -> None:
    raw = encode_digest(DIGEST)
    with pytest.raises(CodecError):
        decode_digest(raw[: size % len(raw)])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (altered(version=2), "digest of version 2, this Deedbox reads up to version 1"),
        (altered(version=0), "digest of version 0"),
        (altered(version="1"), "Expected `int`"),
        (altered(instance="../a"), "instance"),
        (altered(instance="a1\n"), "instance"),
        (altered(number=0, previous=None), "number"),
        (altered(number=1), "digest 1 with previous"),
        (altered(previous=None), "digest 2 with previous None"),
        (altered(previous=SHA + "\n"), "previous"),
        (altered(previous=SHA.upper()), "previous"),
        (altered(until_us=9), "digest from 10 until 9"),
        (altered(clock_us=21), "digest until 20 by a clock at 21"),
        (altered(until_us=TIME_US_MAX + 1), "until_us"),
        (altered(kind="other"), "kind"),
        (altered(from_us="removed"), "missing required field `from_us`"),
        (altered(archives=[msgspec.to_builtins(ARCHIVE)] * 2), "digest that lists an archive twice"),
        (altered(archives=[msgspec.to_builtins(ARCHIVE) | {"path": "../x"}]), "below the archive directory expected"),
        (altered(archives=[msgspec.to_builtins(ARCHIVE) | {"path": "/etc/x"}]), "below the archive directory expected"),
        (altered(archives=[msgspec.to_builtins(ARCHIVE) | {"path": "a\0b"}]), "below the archive directory expected"),
        (altered(archives=[msgspec.to_builtins(ARCHIVE) | {"path": ""}]), "path"),
        (altered(archives=[msgspec.to_builtins(ARCHIVE) | {"sequence": 10**18}]), "sequence"),
        (altered(archives=[msgspec.to_builtins(ARCHIVE) | {"size": -1}]), "size"),
        (altered(archives=[msgspec.to_builtins(ARCHIVE) | {"last_event": None}]), "last event None"),
        (altered(archives=[msgspec.to_builtins(ARCHIVE)] * 1001), "archives"),
        (altered(retired=[msgspec.to_builtins(RETIRED) | {"path": "a/../b"}]), "below the archive directory expected"),
        (altered(retired=[msgspec.to_builtins(RETIRED) | {"kept": ["x"] * 33}]), "kept"),
        (altered(retired=[msgspec.to_builtins(RETIRED) | {"reason": "x" * 2049}]), "reason"),
        (b"[" * 100_000 + b"\n", "digest: "),
        (b'{"version":1}\n', "missing required field"),
        (b"\xff\xfe\n", "digest: "),
        (b"", "without a newline"),
        (encode_digest(DIGEST)[:-1], "without a newline"),
        (encode_digest(DIGEST) + b"\n", "signature: "),
        (encode_digest(DIGEST) + b"{}\n", "signature"),
        (encode_digest(DIGEST) + b'{"key":"0123456789abcdef","ed25519":"AAAA"}\n', "signature of 3 bytes, 64 expected"),
        (encode_digest(DIGEST) + b'{"key":"0123456789abcdef","ed25519":"A A"}\n', "signature"),
        (encode_digest(DIGEST) + b'{"key":"0123456789abcdef","ed25519":"\xc3\xa9"}\n', "signature"),
        (encode_digest(DIGEST) + b"{}\n{}\n", "more than two lines"),
    ],
)
def test_hostile_input_is_a_clear_error(damage: bytes, reason: str) -> None:
    with pytest.raises(CodecError, match=reason):
        decode_digest(damage)


def test_a_digest_that_is_too_large_is_refused() -> None:
    with pytest.raises(TooLarge, match="digest of 16777217 bytes, 16777216 at most"):
        decode_digest(bytes((16 << 20) + 1))


def test_a_newer_version_is_no_damage() -> None:
    """A newer Deedbox may give other members: the version is read first."""
    with pytest.raises(UnsupportedVersion):
        decode_digest(b'{"version":2,"name":"other"}\n')


def test_members_of_a_later_writer_are_ignored_and_covered_by_the_sha256() -> None:
    found = decode_digest(altered(hint="x"))
    assert found.digest == DIGEST
    assert found.sha256 != StoredDigest(DIGEST, encode_digest(DIGEST)).sha256


def test_a_value_that_cannot_be_read_again_is_not_written() -> None:
    for wrong in (
        msgspec.structs.replace(DIGEST, until_us=0),
        msgspec.structs.replace(DIGEST, archives=(ARCHIVE, ARCHIVE)),
        msgspec.structs.replace(DIGEST, retired=(msgspec.structs.replace(RETIRED, reason="\ud800"),)),
    ):
        with pytest.raises(CodecError):
            encode_digest(wrong)


def _next(before: StoredDigest, **changes: object) -> Digest:
    members = {"number": 3, "previous": before.sha256, "from_us": before.digest.until_us, "until_us": 30}
    return msgspec.structs.replace(DIGEST, **members | changes)


BEFORE = StoredDigest(DIGEST, encode_digest(DIGEST))


def test_a_chain_of_digests_is_followed() -> None:
    check_follows(BEFORE, _next(BEFORE))
    check_follows(None, msgspec.structs.replace(DIGEST, number=1, previous=None))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda: _next(BEFORE, number=4), "number 4, expected 3"),
        (lambda: _next(BEFORE, previous="00" * 32), "previous 0000.*, expected "),
        (lambda: _next(BEFORE, instance="a2"), "instance a2, expected a1"),
        (lambda: _next(BEFORE, from_us=21), "its span begins at 21, expected 20"),
    ],
)
def test_a_digest_that_does_not_follow_is_an_error(change: Callable[[], Digest], reason: str) -> None:
    with pytest.raises(Corrupt, match=reason):
        check_follows(BEFORE, change())


def test_the_first_digest_has_number_1() -> None:
    with pytest.raises(Corrupt, match="number 2, expected 1"):
        check_follows(None, DIGEST)


def test_the_sha256_is_that_of_the_first_line_as_other_tools_compute_it() -> None:
    """`head -n 1 FILE | sha256sum` gives what the next digest names."""
    import hashlib

    signed = StoredDigest(DIGEST, encode_digest(DIGEST), Signature.of("0123456789abcdef", bytes(64)))
    assert signed.sha256 == hashlib.sha256(signed.raw.split(b"\n")[0] + b"\n").hexdigest() == BEFORE.sha256
