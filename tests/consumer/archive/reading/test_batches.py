from pathlib import Path

import pytest

from codec import archive as container
from consumer.archive.checking.verify import verify
from consumer.archive.reading.batches import Slot, encode_batches
from tests.support import archives
from tests.support.archive_logs import archive_log, event, some


def test_events_that_do_not_fit_into_one_batch_become_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codec.archive.SHARED_RAW_MAX", 20 * 2560)
    one = archive_log(tmp_path / "archive")
    one.append(some(0, 3))
    one.append([*some(3, 50), event(53, size=100_000), *some(54, 5)])
    one.roll("test")
    assert archives.events(tmp_path) == [*some(0, 53), event(53, size=100_000), *some(54, 5)]
    (verdict,) = verify([tmp_path])
    assert (verdict.faults, verdict.events) == ([], 59)
    assert verdict.batches > 4


def test_the_batches_are_chained_and_numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codec.archive.SHARED_RAW_MAX", 2560)
    batches = list(encode_batches(some(0, 3), Slot("one-00000001", 7, 40, 99), 1))
    headers = [batch.header for batch in batches]
    assert [(header.number, header.first_event) for header in headers] == [(7, 40), (8, 41), (9, 42)]
    assert [header.previous for header in headers] == [99, headers[0].check, headers[1].check]
    for batch in batches:
        assert container.decode_batch_header(batch.raw[: container.BATCH_HEADER_BYTES]) == batch.header
