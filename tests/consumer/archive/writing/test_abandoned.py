from collections.abc import Callable
from pathlib import Path

import pytest

from consumer.archive.layout import Layout
from consumer.archive.writing import recovery
from consumer.archive.writing.abandoned import AbandonedArchives
from consumer.archive.writing.finding import Abandoned, Finding, Outcome
from consumer.archive.writing.sealing import Sealed
from consumer.disk.durable import Disk
from tests.support.archive_logs import archive_log, some


def waiting(tmp_path: Path, clock: Callable[[], float] = lambda: 0.0) -> tuple[AbandonedArchives, list[Sealed]]:
    sealed: list[Sealed] = []
    return AbandonedArchives(Disk(), Layout(tmp_path), clock, sealed.append), sealed


def test_an_abandoned_archive_is_sealed_and_waits_no_more(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    assert one.writer is not None
    one.writer.abandon()
    abandoned, sealed = waiting(tmp_path)
    abandoned.add(Abandoned(one.writer.path))
    assert abandoned.paths == {one.writer.path}
    abandoned.recover()
    assert (abandoned.paths, [found.events for found in sealed]) == (frozenset(), [2])


def test_recoveries_that_fail_again_and_again_take_a_tenth_of_the_time_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a disk that accepts no footer, each waiting archive was read again at each new archive and at each probe."""
    now, recovered = 0.0, 0

    def recover(_disk: Disk, _layout: Layout, path: Path, _archive: Abandoned) -> Finding:
        nonlocal now, recovered
        now, recovered = now + 0.06, recovered + 1
        return Finding(path, Outcome.DEFERRED, reason="File too large")

    abandoned, _ = waiting(tmp_path, lambda: now)
    for number in range(14):
        abandoned.add(Abandoned(tmp_path / f"one-{number + 1:08d}.kvp.zst.open"))
    monkeypatch.setattr(recovery, "recover", recover)
    while now < 1000:
        now += 0.01
        abandoned.recover()
    assert recovered * 0.06 <= 110
    assert recovered > 14
