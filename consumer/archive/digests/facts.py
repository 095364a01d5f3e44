"""The facts about a sealed archive that a digest lists: hashes, counts and the ends of its events.

Role: the archive is read once, from any source. Invariant: a damaged archive has facts too, so that it is listed as it was found.
"""

from pathlib import Path

from codec.archive import BATCH_HEADER_BYTES, BatchHeader
from codec.digest import ListedArchive
from codec.errors import CodecError
from codec.footer import FooterIndex
from codec.parts import checksum_of
from consumer.archive.reading.catalog import all_batches
from consumer.archive.reading.footer_index import read_index
from consumer.archive.reading.reader import ArchiveFile, ArchiveReader
from consumer.archive.reading.sha256 import sha256_from, sha256_of


def listed_archive(archive: ArchiveReader, path: str, sequence: int) -> ListedArchive:
    """The entry of an archive. `path`: below the archive directory. Raises OSError."""
    index = index_of(archive)
    headers = index.headers if index else [batch.header for batch in all_batches(archive)]
    sha256 = sha256_of(archive)
    return ListedArchive(
        path=path,
        sequence=sequence,
        size=archive.size,
        sha256=sha256,
        original=(index.footer.rewritten_from if index else None) or sha256,
        head=f"{checksum_of(archive.head_raw):016x}" if archive.head_raw else None,
        footer=footer_sha256(archive, index) if index else None,
        events=sum(header.events for header in headers),
        batches=len(headers),
        first_event=headers[0].first_event if headers else None,
        last_event=headers[-1].first_event + headers[-1].events - 1 if headers else None,
        first_arrived_us=min((header.first_arrived_us for header in headers), default=None),
        last_arrived_us=max((header.last_arrived_us for header in headers), default=None),
    )


def index_of(archive: ArchiveReader) -> FooterIndex | None:
    """The index of the footer; None if it cannot be read. Raises OSError."""
    try:
        return read_index(archive, verify_filters=False)[0]
    except CodecError:
        return None


def footer_sha256(archive: ArchiveReader, index: FooterIndex) -> str:
    """SHA-256 of the footer and the seek table. Raises OSError."""
    return sha256_from(archive, len(archive.head_raw) + sum(map(_stored, index.headers)))


def _stored(header: BatchHeader) -> int:
    return BATCH_HEADER_BYTES + header.compressed


def is_unchanged(listed: tuple[int, str] | None, path: Path) -> bool:
    """Whether an archive is the one that was listed. A file of another size needs one if it is a rewrite of the archive that was listed."""
    if listed is None:
        return False
    size, original = listed
    if path.stat().st_size == size:
        return True
    with ArchiveFile(path) as archive:
        index = index_of(archive)
    return index is None or index.footer.rewritten_from != original
