"""Signatures of digests: ed25519 keys in PEM files, as other tools read and write them.

The only module that imports `cryptography`, which the extra `sign` installs. Invariants: a private key is readable by its owner only from
the first byte on, and no file is replaced by a key. Sources: RFC 8032 (ed25519), RFC 8410 (the keys in PEM).
"""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from codec.digest import Signature, StoredDigest
from consumer.disk.durable import Disk, read_regular
from consumer.errors import Exit, Fatal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEY_BYTES_MAX = 64 * 1024  # a file of keys
_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)
MAKE = "make one with `deedbox ship --init-key FILE`"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key. `id`: the name of its public key in signatures."""

    id: str
    _key: "Ed25519PrivateKey"

    def sign(self, line: bytes) -> Signature:
        """The signature of the line of a document."""
        return Signature.of(self.id, self._key.sign(line))


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """The keys whose signatures are valid."""

    _keys: "dict[str, Ed25519PublicKey]"

    def fault(self, found: StoredDigest) -> str | None:
        """Why the signature of a digest is invalid; None if it is valid, or if there is none."""
        from cryptography.exceptions import InvalidSignature

        signature = found.signature
        if signature is None:
            return None
        if (key := self._keys.get(signature.key)) is None:
            known = " or ".join(sorted(self._keys))
            return f"signed with key {signature.key}, expected {known}; if the key was in use before, give its public key too"
        try:
            key.verify(signature.raw, found.line)
        except InvalidSignature:
            return f"the signature with key {signature.key} is not that of this digest"
        return None


def init_key(disk: Disk, path: Path) -> str:
    """Make a key pair. The private key is written to `path`, durably, with mode 0600. Returns the public key in PEM.

    Raises Fatal if the file exists or cannot be written.
    """
    ed25519, serialization = _cryptography()
    key = ed25519.Ed25519PrivateKey.generate()
    private, clear = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    try:
        _write_private(disk, path.absolute(), key.private_bytes(serialization.Encoding.PEM, private, clear))
    except FileExistsError as error:
        raise Fatal(Exit.SETTINGS, f"{path}: the file exists, and is not overwritten", "name another file") from error
    except OSError as error:
        raise Fatal(
            Exit.SETTINGS, f"{path}: {error.strerror}", "name a file in a directory that exists and may be written"
        ) from error
    raw: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return raw.decode()


def _write_private(disk: Disk, path: Path, raw: bytes) -> None:
    fd = disk.create(path)
    try:
        os.fchmod(fd, 0o600)  # before the first byte
        disk.append(fd, raw)
        disk.sync(fd)
        disk.sync_directory(path.parent)
    except OSError:
        path.unlink()
        raise
    finally:
        disk.close(fd)


def load_key(path: Path) -> SigningKey:
    """The private key in a file. Raises Fatal for a file that is missing, or holds no private ed25519 key without a password."""
    ed25519, serialization = _cryptography()
    try:
        key = serialization.load_pem_private_key(read_regular(path, KEY_BYTES_MAX), password=None)
    except OSError as error:
        raise Fatal(Exit.SETTINGS, f"key {path}: {error.strerror}", MAKE) from error
    except (ValueError, TypeError) as error:  # TypeError: a password is necessary
        raise Fatal(
            Exit.SETTINGS, f"key {path}: {error}", f"a PEM file without password is expected; {MAKE}"
        ) from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise Fatal(Exit.SETTINGS, f"key {path}: {type(key).__name__}, an ed25519 key is expected", MAKE)
    return SigningKey(_id(key.public_key()), key)


def load_public_keys(paths: Sequence[Path]) -> PublicKeys:
    """The public keys in files; a file may hold several, one after another. Raises Fatal for a file without a public ed25519 key."""
    return PublicKeys({_id(key): key for path in paths for key in _public_keys(path)})


def _public_keys(path: Path) -> "list[Ed25519PublicKey]":
    ed25519, serialization = _cryptography()
    expected = "a PEM file with `BEGIN PUBLIC KEY` is expected, as `deedbox ship --init-key` prints it"
    try:
        blocks = _PEM.findall(read_regular(path, KEY_BYTES_MAX))
        keys = list(map(serialization.load_pem_public_key, blocks))
    except OSError as error:
        raise Fatal(Exit.SETTINGS, f"public key {path}: {error.strerror}", expected) from error
    except ValueError as error:
        raise Fatal(Exit.SETTINGS, f"public key {path}: {error}", expected) from error
    if not keys or not all(isinstance(key, ed25519.Ed25519PublicKey) for key in keys):
        raise Fatal(Exit.SETTINGS, f"public key {path}: no ed25519 key found", expected)
    return keys


def _id(key: "Ed25519PublicKey") -> str:
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def _cryptography() -> tuple[ModuleType, ModuleType]:
    """The modules `ed25519` and `serialization`. Raises Fatal if the package is not installed."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        what = "signatures of digests need the package cryptography"
        raise Fatal(Exit.SETTINGS, what, "pip install 'deedbox[sign]'") from error
    return ed25519, serialization
