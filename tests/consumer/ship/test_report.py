from collections.abc import Iterator

import orjson
import pytest

from consumer import log
from consumer.ship.report import LogReport


class Sink:
    def __init__(self) -> None:
        self.raw = b""

    def write(self, raw: bytes) -> int:
        self.raw += raw
        return len(raw)


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sink]:
    made = Sink()
    monkeypatch.setattr(log, "_writer", log.LogWriter(made, console=False))  # type: ignore[arg-type]
    yield made
    log.flush()


def test_each_report_is_a_log_event_with_destination_and_reason(sink: Sink) -> None:
    report = LogReport()
    report.shipped("s3://bucket", "a", 5, 0.12345)
    report.advance(5)
    report.failed("s3://bucket", "a", "no answer", 2.0)
    report.refused("s3://bucket", "a", "other content")
    report.held("s3://bucket", "d", "lost")
    report.missing("s3://bucket", "a", "the object was removed")
    report.down("s3://bucket", "no answer", 4.0)
    report.works("s3://bucket")
    report.digests_failed("/archive", "disk full")
    log.flush()
    lines = [orjson.loads(line) for line in sink.raw.splitlines()]
    assert [(line["event"], line.get("file"), line.get("reason")) for line in lines] == [
        ("archive_shipped", "a", None),
        ("ship_failed", "a", "no answer"),
        ("ship_refused", "a", "other content"),
        ("digest_held", "d", "lost"),
        ("object_missing", "a", "the object was removed"),
        ("destination_failed", None, "no answer"),
        ("destination_works", None, None),
        ("digests_failed", None, "disk full"),
    ]


def test_repeated_lines_are_counted_for_each_file_and_destination(sink: Sink) -> None:
    expected = [(destination, name) for destination in ("s3://one", "s3://two") for name in ("a", "b")]
    for _ in range(100):
        for destination, name in expected:
            LogReport().failed(destination, name, "no answer", 1.0)
    log.flush()
    lines = [orjson.loads(line) for line in sink.raw.splitlines()]
    assert [(line["destination"], line["file"]) for line in lines] == expected
