from pathlib import Path

from consumer.archive.reading.survey import survey
from tests.support.archive_logs import archive_log, some


def test_a_survey_names_batches_gaps_and_the_end(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 3))
    one.append(some(3, 1))
    assert one.writer is not None
    open_file = survey(one.writer.path)
    assert ([batch.header.events for batch in open_file.batches], open_file.gaps, open_file.seal) == ([3, 1], [], None)
    assert (open_file.events, open_file.damaged, open_file.torn) == (4, False, None)
    one.roll("stop")
    sealed = survey(next(tmp_path.rglob("*.kvp.zst")))
    assert sealed.seal is not None
    assert sealed.file == open_file.file


def test_bytes_after_the_committed_bytes_are_torn(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    first = one.append(some(0, 3))
    one.append(some(3, 1))
    assert one.writer is not None
    found = survey(one.writer.path, first.bytes)
    assert found.events == 3
    assert found.torn is not None
    assert (found.torn.offset, found.torn.harmless) == (first.bytes, True)
