"""One sealed archive that is open for shipping: its facts, its SHA-256, its bytes in pieces.

Invariants: everything comes from one open file, so that a rewriting of the archive in the meantime changes nothing. The last piece is
given out only if all pieces together have the expected size and SHA-256: no object is made of other bytes.
"""

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Self

from codec.errors import CodecError
from codec.gap import Gap
from consumer.archive.reading.footer_index import read_index
from consumer.archive.reading.reader import ArchiveFile, Seal
from consumer.errors import DeedboxError
from consumer.ship.compare import Facts
from consumer.ship.footers import footer_checksum

PIECE_BYTES = 1 << 20


class NotAsSealed(DeedboxError):
    """The local file is not the archive that was sealed. It is not shipped."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path}: {what}", "run `deedbox verify`, and put the right file or a copy of it back")


class LocalArchive:
    """An archive to ship. Raises OSError, and NotAsSealed if it has no whole head and footer.

    `sealed_sha256s`: the SHA-256 that the archive had when it was sealed, by each record that names it.
    `removed` and `lost`: events whose content was removed by `compact`, and events that its footer names as lost.
    """

    def __init__(self, path: Path, sealed_sha256s: Collection[str]) -> None:
        self.path = path
        self._sealed = frozenset(sealed_sha256s)
        self._file = ArchiveFile(path)
        try:
            self._read_ends()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def head(self) -> bytes:
        """The bytes of the head. A rewriting keeps them."""
        return self._file.head_raw

    def _read_ends(self) -> None:
        """Read head and footer."""
        if self._file.head_fault is not None:
            raise NotAsSealed(self.path, f"its head cannot be read: {self._file.head_fault}")
        try:
            footer = read_index(self._file, verify_filters=False)[0].footer
        except CodecError as error:
            raise NotAsSealed(self.path, f"no footer can be read: {error}") from error
        self.removed = footer.removed
        self.lost = sum(gap.events or 0 for gap in footer.gaps)
        self._rewritten_from = footer.rewritten_from
        self._footer = footer_checksum(self._file)
        self._sha256: str | None = None
        if self._rewritten_from is None and len(self._sealed) == 1:
            (self._sha256,) = self._sealed  # `pieces` compares it with the content

    @property
    def facts(self) -> Facts:
        """What is known of the archive now. The SHA-256 of an archive that is not rewritten is taken from the records of others."""
        return Facts(self._file.size, self._sha256, self._rewritten_from or self._sha256, self._footer)

    def read_whole(self) -> Facts:
        """The facts with the SHA-256, which is computed if no record has it. Raises NotAsSealed if a record has another one.

        A file whose SHA-256 no record has, such as a rewritten one, must be whole by its own checksums.
        """
        if self._sha256 is None:
            self._check_parts()
            digest = hashlib.sha256()
            for piece in self._read():
                digest.update(piece)
            self._sha256 = digest.hexdigest()
        if self._sealed - {self._sha256, self._rewritten_from}:
            raise NotAsSealed(self.path, "its SHA-256 is not the one that it was sealed with")
        return self.facts

    def _check_parts(self) -> None:
        end = None
        for end in self._file.parts():
            if isinstance(end, Gap) and end.size:
                raise NotAsSealed(self.path, f"damaged at {end.offset}: {end}")
        if not isinstance(end, Seal):
            raise NotAsSealed(self.path, "no footer can be read")

    def pieces(self) -> Iterator[bytes]:
        """The content. Call `read_whole` before. Raises NotAsSealed before the last piece if the SHA-256 or the size differs."""
        digest, left = hashlib.sha256(), self._file.size
        for piece in self._read():
            digest.update(piece)
            left -= len(piece)
            if left == 0 and digest.hexdigest() != self._sha256:
                raise NotAsSealed(self.path, f"SHA-256 {digest.hexdigest()}, expected {self._sha256}")
            yield piece
        if left:
            raise NotAsSealed(self.path, f"it ends {left} bytes too early")

    def _read(self) -> Iterator[bytes]:
        for offset in range(0, self._file.size, PIECE_BYTES):
            yield self._file.read(offset, min(PIECE_BYTES, self._file.size - offset))
