from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.event import TIME_US_MAX
from consumer.archive import naming
from consumer.archive.naming import ArchiveId

instances = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,30}", fullmatch=True)
ids = st.builds(ArchiveId, instances, st.integers(0, 10**9) | st.integers(0, naming.SEQUENCE_MAX))
times = st.integers(0, TIME_US_MAX)


@given(ids, times, times)
def test_every_sealed_name_is_read_back(archive: ArchiveId, first: int, last: int) -> None:
    name = naming.sealed_name(naming.TEMPLATE, archive, first, last)
    assert naming.parse_sealed(Path(name)) == archive
    assert naming.parse_open(Path(name)) is None


@given(ids)
def test_every_open_name_is_read_back(archive: ArchiveId) -> None:
    name = naming.open_name(archive)
    assert naming.parse_open(Path(name)) == archive
    assert naming.parse_sealed(Path(name)) is None


@given(instances, st.integers(naming.SEQUENCE_MAX + 1, 10**40), times)
def test_a_name_with_a_sequence_that_is_too_large_is_not_the_name_of_an_archive(
    instance: str, sequence: int, time_us: int
) -> None:
    archive = ArchiveId(instance, sequence)
    assert naming.parse_open(Path(naming.open_name(archive))) is None
    assert naming.parse_sealed(Path(naming.sealed_name(naming.TEMPLATE, archive, time_us, time_us))) is None


def test_digits_of_other_scripts_are_no_digits() -> None:
    assert naming.parse_open(Path("host-\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0661.kvp.zst.open")) is None


def test_names_are_those_of_the_design() -> None:
    name = naming.sealed_name(naming.TEMPLATE, ArchiveId("host", 7), 1_763_741_700_123_456, 1_763_741_701_000_000)
    assert str(name) == "20251121/20251121T161500.123456Z-20251121T161501.000000Z-host-00000007.kvp.zst"
    assert naming.open_name(ArchiveId("host", 7)) == "host-00000007.kvp.zst.open"


@given(st.text(max_size=80))
def test_foreign_names_are_none(name: str) -> None:
    if "/" not in name and "\0" not in name and name not in ("", ".", ".."):
        assert naming.parse_sealed(Path(name)) is None
        assert naming.parse_open(Path(name)) is None


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        (naming.TEMPLATE, None),
        ("%Y/%m/%d/events-" + naming.TAIL, None),
        (naming.TAIL, None),
        ("%Y/{sequence}.kvp.zst", "must end in"),
        ("../" + naming.TAIL, "must stay inside"),
        ("/var/" + naming.TAIL, "must stay inside"),
        ("{exchange}/" + naming.TAIL, "accepts no fields"),
        ("%Y/%m/%d/%H/%M/" + naming.TAIL, None),
        ("%Y/%m/%d/%H/%M/%S/" + naming.TAIL, "makes 6 directories"),
        ("%D/%D/" + naming.TAIL, "makes 6 directories"),
    ],
)
def test_a_template_is_checked_at_the_start(template: str, fault: str | None) -> None:
    found = naming.template_fault(template)
    assert found is None if fault is None else fault in str(found)


@pytest.mark.parametrize("host", ["web-1.example", "ünicode", "..", "", "a" * 200, "-dash"])
def test_every_host_name_gives_an_instance(host: str) -> None:
    assert naming.is_instance(naming.instance_from(host))


@pytest.mark.parametrize("name", ["", "a/b", "..", ".a", "a b", "é", "a" * 65, "a\n"])
def test_a_text_that_is_no_file_name_is_no_instance(name: str) -> None:
    assert not naming.is_instance(name)


def test_names_of_one_instance_sort_in_the_order_of_writing() -> None:
    names = [
        str(naming.sealed_name(naming.TEMPLATE, ArchiveId("a", n), n * 10**9, n * 10**9 + 5)) for n in range(1, 40)
    ]
    assert sorted(names) == names


@given(ids, times, times)
def test_a_sealed_name_has_the_arrival_of_its_last_event(archive: ArchiveId, first: int, last: int) -> None:
    assert naming.last_arrival_us(Path(naming.sealed_name(naming.TEMPLATE, archive, first, last))) == last
    assert naming.last_arrival_us(Path(naming.open_name(archive))) is None


def test_a_name_with_a_day_that_does_not_exist_has_no_arrivals() -> None:
    name = "20251121T161500.123456Z-20251341T161501.000000Z-host-00000007.kvp.zst"
    assert naming.last_arrival_us(Path(name)) is None
