from pathlib import Path

from codec.gap import Gap, GapKind
from consumer.archive.listing import find_archives
from consumer.archive.reading.reader import ArchiveFile, Seal
from consumer.archive.reading.survey import survey
from consumer.archive.writing.rebuild import index_of, rebuild
from consumer.archive.writing.sealing import digest
from consumer.disk.durable import Disk
from tests.consumer.archive.reading.test_reader import offsets
from tests.support.archive_logs import archive_log, some


def test_the_whole_batches_get_a_new_footer_that_names_the_loss(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    for first in (0, 2, 4):
        one.append(some(first, 2))
    one.roll("stop")
    (path,) = find_archives([tmp_path])
    raw, at = path.read_bytes(), offsets(path)
    path.chmod(0o640)
    path.write_bytes(raw[: at[1]] + raw[at[2] :])
    found, gap = survey(path), Gap(at[1], 0, GapKind.MISSING, "why", 2, 2)
    fresh = tmp_path / "fresh"
    rebuild(Disk(), found, fresh, [gap])
    with ArchiveFile(fresh) as archive:
        seal = list(archive.parts())[-1]
    assert isinstance(seal, Seal)
    assert (seal.footer.events, seal.footer.gaps, seal.footer.rewritten_from) == (4, [gap], digest(path))
    assert [row.header for row in seal.rows] == [batch.header for batch in found.batches]


def test_the_index_of_a_survey_has_its_batches(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    for first in (0, 2):
        one.append(some(first, 2))
    assert one.writer is not None
    index = index_of(survey(one.writer.path))
    assert (index.events, len(index.rows)) == (4, 2)
    assert index.chain_checksum == one.writer.index.chain_checksum
    one.writer.abandon()
