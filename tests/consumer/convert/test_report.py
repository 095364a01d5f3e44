from consumer.convert.report import ExportReport
from tests.support.archive_logs import START_US, event


def test_parts_that_the_format_cannot_hold_are_counted_by_name() -> None:
    report = ExportReport()
    report.lacks("id")
    report.lacks("id", 3)
    report.count_delivery(event(1))
    report.count_delivery(event(1)._replace(redelivered=True))
    report.count_delivery(event(1)._replace(arrived_us=START_US))
    assert report.unsupported == {"id": 4, "redelivered and duplicate flags": 1, "arrival time": 1}
