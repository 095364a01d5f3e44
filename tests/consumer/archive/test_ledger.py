from pathlib import Path

import pytest

from codec.archive import Previous
from consumer.archive.durable import Disk
from consumer.archive.ledger import Ledger, State


def test_what_was_noted_is_there_in_the_next_life(tmp_path: Path) -> None:
    Ledger(Disk(), tmp_path, "one").update(sequence=7, previous=Previous("a", "b"), running=True, unclean=2)
    assert Ledger(Disk(), tmp_path, "one").state == State(7, Previous("a", "b"), running=True, unclean=2)
    assert Ledger(Disk(), tmp_path, "two").state == State()


@pytest.mark.parametrize("raw", [b"", b"junk", b"[]", b"{}", b'{"previous": 5, "sequence": 1}', b'{"previous": null, "other": 1}'])
def test_a_ledger_that_cannot_be_read_is_no_reason_not_to_start(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "one.ledger").write_bytes(raw)
    (tmp_path / "one-00000041.kvp.zst.open").touch()
    assert Ledger(Disk(), tmp_path, "one").state.sequence == 41


def test_a_sequence_is_never_used_again_even_when_its_archives_are_gone(tmp_path: Path) -> None:
    Ledger(Disk(), tmp_path, "one").update(sequence=99)
    assert Ledger(Disk(), tmp_path, "one").state.sequence == 99
