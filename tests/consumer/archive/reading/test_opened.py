"""Archives in object storage that are read from their beginning to their end, as `cat` does."""

import io
from pathlib import Path

import pytest

from codec.event import Event
from consumer.archive.listing import find_archives
from consumer.archive.reading.cat import EventSelection, OutputFormat, cat_archives
from consumer.archive.reading.catalog import Wanted
from consumer.archive.reading.fault import ReadFault
from consumer.archive.reading.opened import OpenedArchive, opened_archives
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from tests.support.archive_logs import START_US, archive_log, some
from tests.support.copied import copy_to
from tests.support.counting_store import counted


@pytest.fixture
def prefix(tmp_path: Path) -> ObjectUrl:
    """Three archives of 100 events in batches of 10, in the store of this process."""
    log = archive_log(tmp_path)
    for first in range(0, 300, 10):
        log.append(some(first, 10))
        if first % 100 == 90:
            log.roll("stop")
    prefix = ObjectUrl("memory", tmp_path.name, "archive")
    copy_to(tmp_path, prefix)
    return prefix


def bodies(events: list[Event]) -> bytes:
    return b"".join(event.body + b"\n" for event in events)


def cat(prefix: ObjectUrl, chosen: EventSelection | None = None) -> tuple[bytes, list[ReadFault]]:
    out, faults = io.BytesIO(), list[ReadFault]()
    cat_archives([prefix], OutputFormat.RAW, out, faults.append, chosen)
    return out.getvalue(), faults


def test_cat_of_a_prefix_prints_all_events(prefix: ObjectUrl) -> None:
    assert cat(prefix) == (bodies(some(0, 300)), [])


def test_cat_reads_only_the_batches_that_may_hold_wanted_events(
    prefix: ObjectUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = counted(monkeypatch, prefix)
    wanted = Wanted(since_us=START_US + 110, until_us=START_US + 119)
    chosen = EventSelection(wanted, lambda event, _: wanted.within(event.time_us, event.time_us))
    assert cat(prefix, chosen) == (bodies(some(110, 10)), [])
    whole = sum(one.size for one in store_of(prefix).list(prefix))
    assert store.requests["head"] == 0
    assert store.read_bytes < whole


def test_an_object_that_is_replaced_while_it_is_printed_is_printed_once(
    prefix: ObjectUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.archive.reading.read_ahead.CHUNK_BYTES", 100)
    out, faults = io.BytesIO(), list[ReadFault]()
    urls = find_archives([prefix])

    class Replacing(io.BytesIO):
        """Replaces each object, by the same content with another etag, when its first events are printed."""

        def writelines(self, lines: object) -> None:
            super().writelines(lines)  # type: ignore[arg-type]  # as the caller gives them
            if urls:
                url = urls.pop(0)
                store_of(url).put(url, store_of(url).get(url), {})

    out = Replacing()
    assert not cat_archives([prefix], OutputFormat.RAW, out, faults.append)
    assert (out.getvalue(), faults) == (bodies(some(0, 300)), [])


def test_an_object_that_becomes_another_archive_is_a_fault(prefix: ObjectUrl, tmp_path: Path) -> None:
    opened = [one for one in opened_archives([prefix], Wanted()) if isinstance(one, OpenedArchive)]
    first, second = find_archives([prefix])[:2]
    store_of(first).put(first, store_of(second).get(second), {})
    assert opened[0].renewed() is None
    assert opened[1].renewed() is not None
    for one in opened:
        one.archive.close()
