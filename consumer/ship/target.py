"""A destination as a place of objects: what it holds under a name, and how that differs from a local file.

Invariant: an object without attributes, which another program has put or a file system without them holds, is read, so that it is
compared by its content and not by its absence of attributes.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from codec.errors import CodecError
from consumer.archive.reading.footer_index import read_index
from consumer.archive.reading.object_source import ObjectSource
from consumer.archive.reading.reader import ArchiveReader
from consumer.objects.store import Store, StoredObject
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from consumer.ship.compare import Difference, Facts, compare, facts_of
from consumer.ship.footers import footer_checksum
from consumer.ship.local_archive import LocalArchive

READ_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Target:
    """The objects below one URL."""

    store: Store
    base: ObjectUrl

    def url(self, name: str) -> ObjectUrl:
        """The URL of the object for a file."""
        return self.base / name

    def list(self) -> Iterator[tuple[str, StoredObject]]:
        """All objects below the URL with their names. What a server lists in addition is left out. Raises ObjectError."""
        for info in self.store.list(self.base):
            try:
                name = info.url.relative(self.base)
            except ValueError:
                continue
            yield name, info

    def facts(self, name: str) -> tuple[StoredObject, Facts] | None:
        """The object of this name with the facts in its attributes; None if there is no such object. Raises ObjectError."""
        found = self.store.head(self.url(name))
        return None if found is None else (found[0], facts_of(found[0].size, found[1]))

    def content_facts(self, name: str) -> tuple[StoredObject, Facts] | None:
        """As `facts`, and an object without a SHA-256 in its attributes is read. Raises ObjectError."""
        if (found := self.facts(name)) is None:
            return None
        info, there = found
        return info, there if there.sha256 is not None else self.read_facts(info, there)

    def read_facts(self, info: StoredObject, known: Facts) -> Facts:
        """The facts of an object, completed by reading it. Raises ObjectError."""
        digest = hashlib.sha256()
        for offset in range(0, info.size, READ_BYTES):
            digest.update(self.store.read(info.url, offset, READ_BYTES))
        sha256 = digest.hexdigest()
        with ArchiveReader(ObjectSource(info.url, self.store)) as archive:
            try:
                footer = read_index(archive, verify_filters=False)[0].footer
            except CodecError:
                return replace(known, sha256=sha256)  # a side file, a digest, or something that another program has put
        return Facts(info.size, sha256, footer.rewritten_from or sha256, footer_checksum(archive))

    def difference(self, archive: LocalArchive, name: str) -> tuple[Difference, StoredObject | None]:
        """How the object of this name differs from an archive. Raises ObjectError, OSError and NotAsSealed."""
        found = self.facts(name)
        if found is None:
            return Difference.ABSENT, None
        info, there = found
        difference = compare(archive.facts, there)
        if difference is Difference.UNKNOWN and there.sha256 is not None:
            difference = compare(archive.read_whole(), there)
        if there.original is None and difference in (Difference.UNKNOWN, Difference.OTHER):
            difference = compare(archive.read_whole(), self.read_facts(info, there))
        return difference, info

    def check_replaceable(self, archive: LocalArchive, info: StoredObject) -> str:
        """Why an object must not be replaced by a rewriting of the same original; empty if it may. Raises ObjectError.

        A repair may have lost events that the object still has, and an object may have lost content that the local file still has.
        """
        with ArchiveReader(ObjectSource(info.url, self.store)) as there:
            if there.head_raw != archive.head:
                return "it has another head"
            try:
                footer = read_index(there, verify_filters=False)[0].footer
            except CodecError as error:
                return f"it has no footer that can be read: {error}"
        if sum(gap.events or 0 for gap in footer.gaps) < archive.lost:
            return "it holds events that the local file has lost"
        if footer.removed > archive.removed:
            return "events were removed from it that the local file still holds"
        return ""


def target_of(url: ObjectUrl) -> Target:
    """The target of a URL. Raises ObjectError if the settings of object storage do not permit a connection."""
    return Target(store_of(url), url)
