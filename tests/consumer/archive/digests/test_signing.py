import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from codec.digest import StoredDigest, encode_digest
from consumer.archive.digests.signing import init_key, load_key, load_public_keys
from consumer.disk.durable import Disk
from consumer.errors import Exit, Fatal
from tests.codec.test_digest import DIGEST
from tests.support.disk import ShadowDisk

LINE = encode_digest(DIGEST)


def public(tmp_path: Path, name: str = "key") -> Path:
    path = tmp_path / f"{name}.pub"
    path.write_text(init_key(Disk(), tmp_path / name))
    return path


def signed(key: Path) -> StoredDigest:
    return StoredDigest(DIGEST, LINE, load_key(key).sign(LINE))


def test_a_signature_is_verified_with_the_public_key(tmp_path: Path) -> None:
    keys = load_public_keys([public(tmp_path)])
    assert keys.fault(signed(tmp_path / "key")) is None


def test_an_unsigned_digest_has_no_wrong_signature(tmp_path: Path) -> None:
    """Whether it must be signed depends on the digests after it."""
    assert load_public_keys([public(tmp_path)]).fault(StoredDigest(DIGEST, LINE)) is None


def test_a_changed_document_has_another_signature(tmp_path: Path) -> None:
    keys, found = load_public_keys([public(tmp_path)]), signed(tmp_path / "key")
    assert "is not that of this digest" in str(keys.fault(replace(found, line=LINE.replace(b"a1", b"a2", 1))))


def test_the_signature_of_another_key_is_named(tmp_path: Path) -> None:
    mine, other = public(tmp_path), public(tmp_path, "other")
    found = signed(tmp_path / "other")
    assert found.signature
    assert f"signed with key {found.signature.key}, expected " in str(load_public_keys([mine]).fault(found))
    both = tmp_path / "both.pub"
    both.write_bytes(mine.read_bytes() + other.read_bytes())
    assert load_public_keys([both]).fault(found) is None  # a new key, and the keys before it, in one file
    assert load_public_keys([mine, other]).fault(found) is None


def test_the_private_key_is_for_its_owner_only(tmp_path: Path) -> None:
    public(tmp_path)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_the_private_key_is_readable_by_its_owner_only_from_the_first_byte_on(tmp_path: Path) -> None:
    disk, modes = Disk(), []
    append = disk.append
    disk.append = lambda fd, raw: (modes.append(stat.S_IMODE((tmp_path / "key").stat().st_mode)), append(fd, raw))  # type: ignore[method-assign,assign]
    init_key(disk, tmp_path / "key")
    assert modes == [0o600]


def test_a_key_replaces_no_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("something else")
    with pytest.raises(Fatal, match="the file exists, and is not overwritten") as found:
        init_key(Disk(), tmp_path / "key")
    assert found.value.exit == Exit.SETTINGS
    assert (tmp_path / "key").read_text() == "something else"


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_a_key_that_cannot_be_written_leaves_no_file(tmp_path: Path, step: int) -> None:
    with pytest.raises(Fatal, match="name a file in a directory that exists"):
        init_key(ShadowDisk(tmp_path, fail_at=step), tmp_path / "key")
    assert not (tmp_path / "key").exists()


def test_other_tools_read_the_keys_and_verify_the_signatures(tmp_path: Path) -> None:
    key = public(tmp_path)
    found = signed(tmp_path / "key")
    (tmp_path / "line").write_bytes(found.line)
    assert found.signature
    (tmp_path / "signature").write_bytes(found.signature.raw)
    command = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-rawin",
        "-pubin",
        "-inkey",
        key,
        "-sigfile",
        tmp_path / "signature",
        "-in",
        tmp_path / "line",
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "Verified Successfully" in done.stdout


def _no_file(_: Path) -> None: ...


def _text(path: Path) -> None:
    path.write_text("not a key")


def _encrypted(path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")))  # fmt: skip


def _other_kind(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))  # fmt: skip


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_no_file, "No such file"),
        (_text, "a PEM file without password is expected"),
        (_encrypted, "a PEM file without password is expected"),
        (_other_kind, "an ed25519 key is expected"),
    ],
)
def test_a_file_that_is_no_private_key_is_an_error_of_the_settings(
    tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    make(tmp_path / "key")
    with pytest.raises(Fatal, match=reason) as found:
        load_key(tmp_path / "key")
    assert found.value.exit == Exit.SETTINGS
    assert "deedbox ship --init-key" in str(found.value)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (None, "No such file"),
        (b"", "no ed25519 key found"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "is expected"),
        (
            ec.generate_private_key(ec.SECP256R1())
            .public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
            "no ed25519 key found",
        ),
    ],
)
def test_a_file_that_is_no_public_key_is_an_error_of_the_settings(
    tmp_path: Path, raw: bytes | None, reason: str
) -> None:
    if raw is not None:
        (tmp_path / "key").write_bytes(raw)
    with pytest.raises(Fatal, match=reason):
        load_public_keys([tmp_path / "key"])


def test_without_the_package_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives", None)
    with pytest.raises(Fatal, match="deedbox\\[sign\\]"):
        load_key(tmp_path / "key")


def test_the_package_is_loaded_only_for_signatures() -> None:
    code = "import sys, consumer.archive.digests.making; print('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"
