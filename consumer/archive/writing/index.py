"""The index of an archive: the content of its footer, collected batch by batch while the archive is written.

Pure. Invariant: the index covers exactly the batches that were added; a batch is added when it is durable.
"""

from collections.abc import Sequence

from codec import filter as bloom
from codec.archive import BatchHeader
from codec.event import Event
from codec.footer import Footer, bounded, encode_footer, encode_row, frame_sizes, row_sizes
from codec.gap import Gap
from codec.limits import FILTER_WORDS_MAX
from codec.seektable import encode_seek_table

NAME_CHARACTERS_MAX = 255
ROW_OVERHEAD_BYTES = 90  # of the objects that hold a row and its words
NAMES_MAX = 1000  # distinct types and tags that a footer counts by name


class NameCounts:
    """How often each name occurred, for as many names as fit into a footer. `complete`: no name was left out or escaped."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.complete = True

    def add(self, names: Sequence[str]) -> None:
        """Count the names. New names beyond the limit are left out, and `complete` becomes False."""
        counts = self.counts
        for name in names:
            if name in counts:
                counts[name] += 1
            else:
                self._add_unknown(name)

    def _add_unknown(self, original: str) -> None:
        name = _utf8(original)
        self.complete = self.complete and name == original  # an escaped name is another name
        if name in self.counts or (len(self.counts) < NAMES_MAX and len(name) <= NAME_CHARACTERS_MAX):
            self.counts[name] = self.counts.get(name, 0) + 1
        else:
            self.complete = False


def _utf8(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


class ArchiveIndex:
    """The rows, filters and totals of a footer. `chain_checksum`: the checksum of the last part, which the next batch names.

    `bytes`: the approximate memory of the index; `first_us` and `last_us`: the first and the last arrival.
    """

    def __init__(self, chain_checksum: int) -> None:
        self.rows: list[bytes] = []
        self.words: list[bytes] = []
        self.types, self.tags = NameCounts(), NameCounts()
        self.events = self.records = self.raw = self.bytes = 0
        self.first_us = self.last_us = 0
        self.chain_checksum = chain_checksum

    def add(self, header: BatchHeader, events: Sequence[Event] | None) -> None:
        """Add a durable batch. Without its events it gets no filter, and its names are not counted."""
        words = b"" if events is None else self._count_names(events)
        self.first_us = header.first_arrived_us if not self.rows else min(self.first_us, header.first_arrived_us)
        self.last_us = header.last_arrived_us if not self.rows else max(self.last_us, header.last_arrived_us)
        self.rows.append(encode_row(header, words))
        self.words.append(words)
        self.bytes += len(self.rows[-1]) + len(words) + ROW_OVERHEAD_BYTES
        self.types.complete = self.types.complete and events is not None
        self.events += header.events
        self.records += header.records
        self.raw += header.raw
        self.chain_checksum = header.check

    def _count_names(self, events: Sequence[Event]) -> bytes:
        """Count the types and tags of a batch; returns the words of its filter, or none if the filter would be too large."""
        types = [event.type for event in events]
        tags = [tag for event in events for tag in event.tags]
        self.types.add(types)
        self.tags.add(tags)
        hashes = [bloom.key_hash("id", event.id) for event in events]
        hashes += [bloom.key_hash("type", name) for name in set(types)]
        hashes += [bloom.key_hash("tag", name) for name in set(tags)]
        return bloom.build(hashes) if bloom.word_count(len(hashes)) <= FILTER_WORDS_MAX else b""

    def encode_end(
        self, head_bytes: int, gaps: Sequence[Gap] = (), rewritten_from: str | None = None, removed: int = 0
    ) -> bytes:
        """Footer and seek table. `gaps`: the losses of the archive; `rewritten_from`: SHA-256 of the original; `removed`: events that `compact` removed."""
        footer = Footer(
            len(self.rows), self.events, self.records, self.raw, self.chain_checksum,
            self.types.counts, self.tags.counts, self.types.complete and self.tags.complete,
            bounded(gaps), rewritten_from, removed,
        )  # fmt: skip
        raw = encode_footer(footer, self.rows, self.words)
        return raw + encode_seek_table(frame_sizes(head_bytes, map(row_sizes, self.rows), len(raw)))
