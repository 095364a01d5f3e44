from pathlib import Path

from consumer.archive import naming
from consumer.archive.layout import Layout


def test_without_a_template_archives_are_sorted_by_day() -> None:
    assert Layout(Path("archive")) == Layout(Path("archive"), naming.TEMPLATE, level=1)
