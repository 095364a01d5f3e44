"""The SHA-256 of an archive, read from its source."""

import hashlib

from consumer.archive.reading.file_range import FileRange
from consumer.archive.reading.reader import ArchiveReader


def sha256_of(archive: ArchiveReader) -> str:
    """SHA-256 of all bytes of an archive, in hexadecimal. Every byte is read. Raises OSError."""
    return sha256_from(archive, 0)


def sha256_from(archive: ArchiveReader, offset: int) -> str:
    """SHA-256 of the bytes from an offset on, in hexadecimal. Raises OSError."""
    found = hashlib.sha256()
    archive.source.plan([(offset, archive.size - offset)])
    for piece in FileRange(archive.read, offset, archive.size - offset):
        found.update(piece)
    return found.hexdigest()
