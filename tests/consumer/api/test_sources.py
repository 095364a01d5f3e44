"""Search and tail as sources of events: order, limits, faults."""

import asyncio
import threading
from pathlib import Path

import pytest

import deedbox
from consumer.query.batches import BatchEvents, BatchRequest, read_batch
from tests.support.archive_logs import archive_log, event, some


def damage(directory: Path) -> Path:
    """Flip a byte in the body of the second batch of an archive; the path of the archive."""
    (path,) = directory.rglob("*.kvp.zst*")
    raw = bytearray(path.read_bytes())
    raw[raw.rindex(b"\x28\xb5\x2f\xfd") + 12] ^= 0xFF
    path.write_bytes(raw)
    return path


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    log = archive_log(tmp_path)
    log.append(some(1, 3))
    log.append(some(4, 3))
    log.roll("test")
    return damage(tmp_path)


def test_a_search_raises_after_the_last_event_if_a_part_cannot_be_read(damaged: Path) -> None:
    search = deedbox.open(damaged).search()
    assert [next(search).id for _ in range(3)] == ["id-1", "id-2", "id-3"]
    with pytest.raises(deedbox.ReadError, match="batch") as error:
        next(search)
    assert error.value.faults == search.faults


def test_a_search_that_is_not_strict_has_the_faults_as_values(damaged: Path) -> None:
    search = deedbox.open(damaged).search(strict=False)
    assert [one.id for one in search] == ["id-1", "id-2", "id-3"]
    assert len(search.faults) == 1


def test_the_newest_events_raise_after_the_last_one_too(damaged: Path) -> None:
    tail = deedbox.open(damaged).tail()
    with pytest.raises(deedbox.ReadError, match="batch"):
        list(tail)
    tail = deedbox.open(damaged).tail(strict=False)
    assert [one.id for one in tail] == ["id-1", "id-2", "id-3"]
    assert len(tail.faults) == 1


def test_a_tail_follows_what_is_archived_later(tmp_path: Path) -> None:
    log = archive_log(tmp_path)
    log.append(some(1, 3))
    with deedbox.open(tmp_path).tail(2, follow=True) as tail:
        assert [next(tail).id, next(tail).id] == ["id-2", "id-3"]
        log.append([event(4)])
        assert next(tail).id == "id-4"


async def test_a_tail_follows_in_an_event_loop_and_ends_when_it_is_stopped(tmp_path: Path) -> None:
    log = archive_log(tmp_path)
    log.append(some(1, 3))
    found: list[str] = []
    with deedbox.open(tmp_path).tail(1, follow=True) as tail:
        async for one in tail:
            found.append(one.id)
            if len(found) == 1:
                await asyncio.to_thread(log.append, [event(4)])
            else:
                tail.stop()
    assert found == ["id-3", "id-4"]


async def test_a_search_that_is_cancelled_stops_at_the_next_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It read every batch to the end although the iteration had stopped."""
    log = archive_log(tmp_path)
    for serial in range(20):
        log.append([event(serial)])
    begun, release, reads = asyncio.Event(), threading.Event(), []
    loop = asyncio.get_running_loop()

    def read(job: BatchRequest) -> BatchEvents:
        reads.append(job)
        loop.call_soon_threadsafe(begun.set)
        release.wait(30)
        return read_batch(job)

    monkeypatch.setattr("consumer.query.batch_groups.read_batch", read)
    task = asyncio.create_task(anext(deedbox.open(tmp_path).search(where="serial=99")))  # type: ignore[arg-type]  # a coroutine
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()
    await loop.shutdown_default_executor()
    assert len(reads) == 1
