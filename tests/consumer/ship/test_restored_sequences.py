from pathlib import Path

import pytest

from consumer.archive import naming
from consumer.archive.ledger import Ledger
from consumer.disk.durable import Disk, held
from consumer.errors import Fatal
from consumer.ship.restored_sequences import note_sequences, refuse_running
from tests.support.archive_logs import archive_log, some


def test_the_next_archive_has_a_sequence_that_was_never_used(tmp_path: Path) -> None:
    note_sequences(Disk(), tmp_path, {"one": 41})
    assert archive_log(tmp_path).append(some(0, 1)).archive == naming.ArchiveId("one", 42)


def test_a_ledger_that_knows_more_is_kept(tmp_path: Path) -> None:
    Ledger(Disk(), tmp_path, "one").update(sequence=50, committed=50)
    note_sequences(Disk(), tmp_path, {"one": 41})
    assert Ledger(Disk(), tmp_path, "one").state.sequence == 50


def test_an_instance_that_runs_here_is_refused(tmp_path: Path) -> None:
    refuse_running(Disk(), tmp_path, {"one"})
    with held(Disk(), naming.lock_path(tmp_path, "one")):
        for check in (refuse_running, lambda disk, path, _: note_sequences(disk, path, {"one": 1})):
            with pytest.raises(Fatal, match="instance one is running here"):
                check(Disk(), tmp_path, {"one"})
