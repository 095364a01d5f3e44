from codec.archive import BatchHeader
from codec.footer import decode_footer
from consumer.archive.reading.batches import Slot, encode_batches
from consumer.archive.writing.index import NAMES_MAX, ArchiveIndex, NameCounts
from tests.support.archive_logs import some


def test_more_names_than_fit_into_a_footer_are_reported_as_incomplete() -> None:
    names = NameCounts()
    names.add([f"type.{n}" for n in range(NAMES_MAX)])
    assert names.complete
    names.add(["one.more", "type.0"])
    assert not names.complete
    assert names.counts["type.0"] == 2
    assert len(names.counts) == NAMES_MAX


def test_a_name_that_utf8_does_not_hold_is_counted_with_escapes() -> None:
    names = NameCounts()
    names.add(["\udced", "\udced"])
    assert (names.counts, names.complete) == ({"\\udced": 2}, False)


def test_the_index_chains_the_batches_and_counts_their_events() -> None:
    index = ArchiveIndex(7)
    headers: list[BatchHeader] = []
    for first in (0, 3):
        slot = Slot("one-00000001", len(index.rows), index.events, index.chain_checksum)
        (batch,) = encode_batches(some(first, 3), slot, 1)
        index.add(batch.header, batch.events)
        headers.append(batch.header)
    assert [header.previous for header in headers] == [7, headers[0].check]
    assert (index.events, index.chain_checksum) == (6, headers[1].check)
    assert index.first_us == headers[0].first_arrived_us
    assert index.last_us == headers[1].last_arrived_us


def test_a_batch_without_its_events_has_no_filter_and_no_names() -> None:
    index = ArchiveIndex(7)
    (batch,) = encode_batches(some(0, 3), Slot("one-00000001", 0, 0, 7), 1)
    index.add(batch.header, None)
    end = index.encode_end(100)
    footer, rows = decode_footer(end[: int.from_bytes(end[4:8], "little") + 8])
    assert (footer.events, footer.types, footer.names_complete, list(rows[0].words)) == (3, {}, False, [])
