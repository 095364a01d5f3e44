from pathlib import Path

import pytest

from codec.archive import Previous
from codec.watermark import Watermark
from consumer.archive import naming
from consumer.archive.ledger import LEDGER_BYTES_MAX, UNSEALED_MAX, Ledger, State
from consumer.archive.watermark import publish_watermark
from consumer.disk.durable import Disk


def test_the_next_run_reads_the_ledger_of_the_last_one(tmp_path: Path) -> None:
    Ledger(Disk(), tmp_path, "one").update(
        sequence=7, previous=Previous("a", "b", 3), running=True, unclean=2, committed=6
    )
    assert Ledger(Disk(), tmp_path, "one").state == State(7, Previous("a", "b", 3), True, 2, committed=6)
    assert Ledger(Disk(), tmp_path, "two").state == State()


@pytest.mark.parametrize(
    "raw", [b"", b"junk", b"[]", b"{}", b'{"previous": 5, "sequence": 1}', b'{"sequence": "7"}', b"[" * 100_000]
)
def test_a_ledger_that_cannot_be_read_is_no_reason_not_to_start(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "one.ledger").write_bytes(raw)
    (tmp_path / "one-00000041.kvp.zst.open").touch()
    assert Ledger(Disk(), tmp_path, "one").state.sequence == 41


def test_a_sequence_is_never_used_again_even_if_its_archives_were_removed(tmp_path: Path) -> None:
    Ledger(Disk(), tmp_path, "one").update(sequence=99)
    assert Ledger(Disk(), tmp_path, "one").state.sequence == 99


def test_an_archive_that_is_sealed_late_does_not_become_the_last_one(tmp_path: Path) -> None:
    from consumer.archive.naming import ArchiveId

    ledger = Ledger(Disk(), tmp_path, "one")
    name = "20251121T161500.000000Z-20251121T161500.000000Z-one-{:08d}.kvp.zst"
    for sequence in (1, 3, 2):
        ledger.note_sealed(ArchiveId("one", sequence), name.format(sequence), f"digest {sequence}", sequence)
    assert ledger.state.previous == Previous(name.format(3), "digest 3", 3)
    assert ledger.state.sequence == 3


def test_a_lost_ledger_is_known_again_from_the_watermark(tmp_path: Path) -> None:
    """Also if the newest archive, to which it belongs, was removed too."""
    publish_watermark(Disk(), tmp_path, "one", Watermark(7, 3, 900))
    state = Ledger(Disk(), tmp_path, "one").state
    assert (state.committed, state.sequence) == (7, 7)


def test_the_archives_that_were_not_sealed_are_named_and_bounded(tmp_path: Path) -> None:
    one = Ledger(Disk(), tmp_path, "one")
    one.update(unsealed=tuple(range(3, UNSEALED_MAX + 3)))
    one.note_committed(UNSEALED_MAX + 3)
    assert one.state.unsealed == tuple(range(4, UNSEALED_MAX + 4))
    archive = naming.ArchiveId("one", UNSEALED_MAX)
    one.note_sealed(archive, str(naming.sealed_name(naming.TEMPLATE, archive, 0, 0).name), "", 1)
    assert UNSEALED_MAX not in one.state.unsealed
    assert Ledger(Disk(), tmp_path, "one").state.unsealed == one.state.unsealed
    assert one.path.stat().st_size < LEDGER_BYTES_MAX // 2
