"""The SHA-256 of an archive, read from its source."""

import hashlib

from consumer.archive.reading.file_range import FileRange
from consumer.archive.reading.reader import ArchiveReader


def sha256_of(archive: ArchiveReader) -> str:
    """SHA-256 of all bytes of an archive, in hexadecimal. Every byte is read. Raises OSError."""
    found = hashlib.sha256()
    for piece in FileRange(archive.read, 0, archive.size):
        found.update(piece)
    return found.hexdigest()
