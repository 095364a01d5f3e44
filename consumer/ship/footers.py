"""The checksum in a footer: it identifies the content of an archive without reading it."""

from codec.parts import CHECK
from codec.seektable import SEEK_END_BYTES, seek_table_bytes
from consumer.archive.reading.reader import ArchiveReader


def footer_checksum(archive: ArchiveReader) -> str:
    """The checksum at the end of the footer, in hexadecimal. It covers the checksums of all batches. Raises CodecError and OSError."""
    end = archive.size - seek_table_bytes(archive.read(archive.size - SEEK_END_BYTES, SEEK_END_BYTES))
    return archive.read(end - CHECK.size, CHECK.size).hex()
