"""Retention over real directories, with local directories as destinations."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consumer.archive.checking.verify import verify
from consumer.archive.digests.history import history, retired
from consumer.archive.naming import ArchiveId, parse_sealed
from consumer.archive.reading.reader import open_archive
from consumer.archive.reading.tombstones import add_tombstones
from consumer.disk.durable import Disk, held
from consumer.errors import DeedboxError, Fatal
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from consumer.ship.retention.digest_copies import Recorded, ship_digests
from consumer.ship.retention.limits import Limits
from tests.support.archive_logs import archive_log, some
from tests.support.retention import World, reasons, upload
from tests.support.steps import checkpoint

ONE_LEFT = Limits(count=1)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_no_limit_set_and_nothing_goes_and_nothing_is_written(world: World) -> None:
    world.seal(3)
    before = sorted(world.root.rglob("*"))
    assert world.run().decisions == {}
    assert sorted(world.root.rglob("*")) == before


def test_what_goes_is_recorded_as_retired_with_its_reason_and_where_it_is_kept(world: World) -> None:
    first, second, _ = world.seal(3)
    url = world.destination("s3")
    world.upload()
    result = world.run(Limits(count=2))
    assert [one.candidate.archive.sequence for _, one in result.removed] == [1]
    assert world.left() == [2, 3]
    ((place, entry),) = retired(world.root).items()
    assert place == (ArchiveId("one", 1), "local")
    assert (entry.reason, entry.kept) == ("retention: more than 2 archives", (str(url),))
    assert entry.path == first.relative_to(world.root).as_posix()
    assert second.exists()


def test_the_record_is_at_every_destination_before_anything_is_removed(world: World) -> None:
    first, *_ = world.seal(2)
    urls = [world.destination("a"), world.destination("b")]
    world.upload()
    order: list[tuple[str, list[int]]] = []

    class Watching(Disk):
        def remove(self, path: Path) -> None:
            if path == first:
                order.append(("remove", [len(list(store_of(url).list(url / "digests"))) for url in urls]))
            super().remove(path)

    world.retention(ONE_LEFT, disk=Watching()).run()
    digests = len(list(history(world.root, "one")))
    assert order == [("remove", [digests, digests])]


def test_a_destination_that_is_away_keeps_everything(world: World) -> None:
    world.seal(3)
    world.destination("a")
    gone = world.destination("b")
    world.upload()
    Path(gone.bucket).rename(world.top / "unmounted")
    result = world.run(ONE_LEFT)
    assert (world.left(), result.removed) == ([1, 2, 3], [])
    assert all("does not answer" in reason for reason in reasons(result)[:2])
    assert retired(world.root) == {}


def test_retention_outruns_upload_rabbitmq_stream_s3_225(world: World) -> None:
    """Retention reached what was not uploaded yet, and stalled. Here it stays, and the next run goes on when it is uploaded."""
    first, second, third, _ = world.seal(4)
    url = world.destination("a")
    upload(world.root, url, first)
    result = world.run(ONE_LEFT)
    assert world.left() == [1, 2, 3, 4]
    assert "its record waits" in reasons(result)[0]
    assert reasons(result)[1:3] == [f"is not at {url} yet"] * 2
    upload(world.root, url, second, third)
    world.upload()
    world.run(ONE_LEFT)
    assert (world.left(), world.left_at(url)) == ([4], [1, 2, 3, 4])


def test_an_archive_goes_although_newer_ones_are_never_all_uploaded(world: World) -> None:
    """Under load the newest archive is never uploaded yet, and the digest that lists it waits."""
    url = world.destination("a")
    for turn in range(1, 8):
        *uploaded, _ = world.seal(1)
        upload(world.root, url, *uploaded)
        world.run(ONE_LEFT)
        assert world.left()[0] >= turn - 3
        assert world.left()[-1] == turn


def test_a_digest_that_lists_a_failed_upload_frees_no_local_copy_rabbitmq_stream_s3_210(world: World) -> None:
    """The manifest had advanced past a failed upload, and the local copy was freed: a silent hole."""
    first, *_ = world.seal(2)
    url = world.destination("a")
    world.upload()
    name = first.relative_to(world.root).as_posix()
    half = first.read_bytes()[:-10]
    for raw, attributes in (
        (half, {"sha256": "0" * 64}),
        (first.read_bytes(), {"sha256": "0" * 64}),
        (first.read_bytes(), {"original": "0" * 64}),
    ):
        store_of(url).put(url / name, raw, attributes)
        assert reasons(world.run(ONE_LEFT))[0] == f"differs from the object at {url}"
        assert world.left() == [1, 2]


def test_copies_links_and_damaged_files_count_once_kafka_22738(world: World) -> None:
    """Size-based retention counted them twice, and deleted live data."""
    first, second, third = world.seal(3)
    os.link(first, world.root / first.name)
    (world.root / second.name).write_bytes(second.read_bytes())
    first.with_name(first.name + ".damaged").write_bytes(bytes(10_000_000))
    total = sum(path.stat().st_size for path in (first, second, third))
    assert world.run(Limits(bytes=total)).removed == []
    result = world.run(Limits(bytes=total - 1))
    assert [one.candidate.archive.sequence for _, one in result.removed] == [1]
    assert not (world.root / first.name).exists(), "both names of the archive go"
    assert first.with_name(first.name + ".damaged").exists(), "the original of a repair is nowhere else"
    assert "exists twice" in reasons(world.run(Limits(count=1)))[0]
    assert second.exists()


def test_a_crash_between_archive_and_side_files_shows_no_deleted_event_thanos_1525(world: World) -> None:
    """Half-deleted is never valid: the archive goes first. What a crash leaves is removed by the next run."""
    first, *_ = world.seal(2)
    with open_archive(first) as archive:
        add_tombstones(Disk(), archive, [1], "id-1", "2026-11-28T00:00:00.000000Z")
    side = first.parent / "one-00000001.deleted"

    class Dying(Disk):
        def remove(self, path: Path) -> None:
            if path == side:
                raise KeyboardInterrupt
            super().remove(path)

    with pytest.raises(KeyboardInterrupt):
        world.retention(ONE_LEFT, disk=Dying()).run()
    assert (first.exists(), side.exists()) == (False, True)
    world.run(ONE_LEFT)
    assert not list(world.root.rglob("one-00000001*"))


def test_deletions_that_are_not_at_the_destination_yet_keep_the_archive(world: World) -> None:
    """Otherwise the only copy that is left would show a deleted event."""
    first, *_ = world.seal(2)
    url = world.destination("a")
    world.upload()
    with open_archive(first) as archive:
        add_tombstones(Disk(), archive, [1], "id-1", "2026-11-28T00:00:00.000000Z")
    assert reasons(world.run(ONE_LEFT))[0] == f"its deleted events are not at {url} yet"
    world.upload()
    world.run(ONE_LEFT)
    assert world.left() == [2]


def _hold_beside(world: World, first: Path) -> None:
    first.with_name(first.name + ".hold").touch()


def _hold_folder(world: World, first: Path) -> None:
    (world.root / ".hold").touch()


def _hold_object(world: World, first: Path) -> None:
    url = world.urls[0]
    store_of(url).put(url / f"{first.relative_to(world.root).as_posix()}.hold", b"", {})


def _hold_prefix(world: World, first: Path) -> None:
    store_of(world.urls[0]).put(world.urls[0] / first.parent.name / ".hold", b"", {})


def _follower(world: World, first: Path) -> None:
    checkpoint(world.root, "f", "one-00000001:2")


def _damage(world: World, first: Path) -> None:
    first.chmod(0o600)
    first.write_bytes(first.read_bytes()[:-1])


def _unreadable(world: World, first: Path) -> None:
    content = first.read_bytes()
    first.unlink()
    first.symlink_to(world.top / "elsewhere")
    (world.top / "elsewhere").write_bytes(content)


@pytest.mark.parametrize(
    ("keep", "reason"),
    [
        (_hold_beside, ".hold holds it"),
        (_hold_folder, ".hold holds it"),
        (_hold_object, ".hold holds it"),
        (_hold_prefix, ".hold holds it"),
        (_follower, "follower 'f' has not passed it"),
        (_damage, "is damaged"),
        (_unreadable, "is a symbolic link"),
    ],
)
def test_what_must_stay_stays_whatever_the_limits_are(
    world: World, keep: Callable[[World, Path], None], reason: str
) -> None:
    first, *_ = world.seal(2)
    world.destination("a")
    world.upload()
    keep(world, first)
    result = world.run(Limits(age_s=1, bytes=1, count=1, free_bytes=1 << 60))
    assert reason in reasons(result)[0]
    assert world.left() == [1, 2]
    assert retired(world.root) == {}


def test_the_newest_sealed_archive_and_open_archives_stay(world: World) -> None:
    world.seal(2)
    world.seal(1, "two")
    running = archive_log(world.root, instance="three")
    running.append(some(0, 1))
    result = world.run(Limits(age_s=1))
    assert sorted(str(parse_sealed(path)) for path in world.root.rglob("*.zst")) == ["one-00000002", "two-00000001"]
    assert list(result.others.values()) == ["is open or waits for recovery"]
    assert [one.reason for _, one in result.removed] == ["older than 1 s"]


def test_an_orphan_stays(world: World) -> None:
    world.seal(2)
    dead = archive_log(world.root, instance="three")
    dead.append(some(0, 1))
    assert dead.writer is not None
    path = dead.writer.path
    dead.writer.abandon()
    world.run(Limits(age_s=1))
    assert path.exists()


def test_a_checkpoint_that_cannot_be_read_stops_retention_with_an_error(world: World) -> None:
    world.seal(3)
    checkpoint(world.root, "f", "one-00000003:0").write_bytes(b"{")
    with pytest.raises(DeedboxError, match=r"f\.checkpoint"):
        world.run(ONE_LEFT)
    assert world.left() == [1, 2, 3]


def test_an_archive_that_holds_the_event_of_a_checkpoint_stays(world: World) -> None:
    world.seal(4)
    checkpoint(world.root, "f", "one-00000003:0")
    world.run(ONE_LEFT)
    assert world.left() == [3, 4]


def test_a_dry_run_changes_nothing(world: World) -> None:
    world.seal(3)
    world.destination("a")
    world.upload()
    before = sorted(world.top.rglob("*"))
    result = world.retention(ONE_LEFT).run(dry_run=True)
    assert [one.goes for one in result.decisions["local"]] == [True, True, False]
    assert sorted(world.top.rglob("*")) == before


def test_one_process_at_a_time(world: World) -> None:
    world.seal(2)
    with held(Disk(), world.root / ".retain.lock"), pytest.raises(Fatal, match="another process runs retention"):
        world.run(ONE_LEFT)
    assert world.left() == [1, 2]


def test_an_archive_that_changes_between_decision_and_removal_stays(world: World) -> None:
    """A hold was made, or an event deleted, while the record went to the destinations."""
    first, second, _ = world.seal(3)
    world.destination("a")
    world.upload()
    retention = world.retention(ONE_LEFT)
    record = retention.record

    def held_meanwhile(entries: object) -> object:
        first.with_name(first.name + ".hold").touch()
        return record(entries)

    retention.record = held_meanwhile
    result = retention.run()
    assert world.left() == [1, 3]
    assert "holds it" in reasons(result)[0]
    assert not second.exists()


def remote(url: ObjectUrl, limits: Limits = ONE_LEFT) -> dict[ObjectUrl, Limits]:
    return {url: limits}


def test_an_object_goes_by_the_remote_limits_only_when_its_archive_is_not_here_any_more(world: World) -> None:
    world.seal(4)
    url = world.destination("a")
    world.upload()
    result = world.run(Limits(count=3), remote(url))
    assert world.left() == [2, 3, 4]
    assert world.left_at(url) == [1, 2, 3, 4]
    assert "still in the archive directory" in reasons(result, str(url))[0]
    world.run(Limits(count=3), remote(url))
    assert world.left_at(url) == [2, 3, 4]
    assert {where for _, where in retired(world.root)} == {"local", str(url)}


def test_the_last_verified_copy_goes_only_if_the_limits_of_its_place_say_so(world: World) -> None:
    world.seal(3)
    a, b = world.destination("a"), world.destination("b")
    world.upload()
    world.run(ONE_LEFT)
    world.run(ONE_LEFT, remote(a))
    assert (world.left(), world.left_at(a), world.left_at(b)) == ([3], [3], [1, 2, 3])
    world.run(ONE_LEFT, remote(a))
    assert world.left_at(b) == [1, 2, 3]
    world.run(ONE_LEFT, remote(b, Limits(count=2)))
    assert world.left_at(b) == [2, 3]


def test_an_object_stays_while_another_destination_does_not_have_it(world: World) -> None:
    first, *_ = world.seal(3)
    a, b = world.destination("a"), world.destination("b")
    world.upload()
    world.run(ONE_LEFT)
    store_of(b).delete(b / first.relative_to(world.root).as_posix())
    result = world.run(ONE_LEFT, remote(a))
    assert world.left_at(a) == [1, 3]
    assert reasons(result, str(a))[0] == f"is not at {b} yet"


@pytest.mark.parametrize("attributes", [{}, {"sha256": "1" * 64}, {"sha256": "1" * 64, "original": "2" * 64}])
def test_an_object_of_another_program_is_not_deleted_thanos_1577(world: World, attributes: dict[str, str]) -> None:
    """A slow upload was deleted as partial. An object that no digest lists with its SHA-256 is left alone."""
    first, *_ = world.seal(3)
    url = world.destination("a")
    world.upload()
    world.run(ONE_LEFT)
    name = first.relative_to(world.root).as_posix()
    (Path(url.bucket) / name).unlink()
    store_of(url).put(url / name, b"another", attributes)
    result = world.run(ONE_LEFT, remote(url))
    assert world.left_at(url) == [1, 3]
    assert "no digest lists" in reasons(result, str(url))[0]


def test_an_upload_that_runs_is_no_object_and_its_parts_are_left_alone_thanos_8182(world: World) -> None:
    first, *_ = world.seal(2)
    url = world.destination("a")
    world.upload()
    name = first.relative_to(world.root).as_posix()
    (Path(url.bucket) / name).unlink()
    part = (Path(url.bucket) / name).with_name(".0123456789abcdef.part")
    part.write_bytes(b"half")
    assert reasons(world.run(ONE_LEFT, remote(url)))[0] == f"is not at {url} yet"
    assert (part.exists(), world.left()) == (True, [1, 2])


def test_a_follower_and_a_hold_keep_an_object_too(world: World) -> None:
    first, second, *_ = world.seal(4)
    url = world.destination("a")
    world.upload()
    world.run(ONE_LEFT)
    (world.root / first.parent.name / f"{first.name}.hold").touch()
    checkpoint(world.root, "f", "one-00000003:0")
    result = world.run(ONE_LEFT, remote(url))
    assert world.left_at(url) == [1, 3, 4]
    assert second.name not in [path.name for path in Path(url.bucket).rglob("*")]
    assert "holds it" in reasons(result, str(url))[0]
    assert "follower 'f'" in reasons(result, str(url))[2]


def test_the_files_beside_an_object_go_with_it(world: World) -> None:
    first, *_ = world.seal(2)
    with open_archive(first) as archive:
        add_tombstones(Disk(), archive, [1], "id-1", "2026-11-28T00:00:00.000000Z")
    url = world.destination("a")
    world.upload()
    world.run(ONE_LEFT)
    assert list(Path(url.bucket).rglob("one-00000001.deleted"))
    world.run(ONE_LEFT, remote(url))
    assert not list(Path(url.bucket).rglob("*one-00000001*"))


def test_archives_that_left_by_a_suffix_keep_their_deletions(world: World) -> None:
    first, *_ = world.seal(2)
    with open_archive(first) as archive:
        add_tombstones(Disk(), archive, [1], "id-1", "2026-11-28T00:00:00.000000Z")
    world.run(ONE_LEFT)  # recorded as retired, as by a step
    first.with_name(first.name + ".done").touch()
    side = first.parent / "one-00000001.deleted"
    side.touch()
    world.run(ONE_LEFT)
    assert side.exists()


def test_an_object_that_a_hold_keeps_after_its_record_is_missed_when_it_is_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its removal was recorded before the hold came. That record must not explain a later loss."""
    world.seal(4)
    url = world.destination("a")
    world.upload()
    world.run(Limits(count=2))

    def held_now(*arguments: Any) -> Recorded:
        (world.top / "a" / ".hold").touch()
        return ship_digests(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("consumer.ship.retention.retention.ship_digests", held_now)
        assert world.run(remote=remote(url)).removed == []
    assert world.left_at(url) == [1, 2, 3, 4]
    first = ArchiveId("one", 1)
    assert [where for archive, where in retired(world.root) if archive == first] == ["local"]
    digests = len(list(world.root.rglob("*.digest")))
    world.run(remote=remote(url))
    assert len(list(world.root.rglob("*.digest"))) == digests  # once
    next((world.top / "a").rglob("*one-00000001.kvp.zst")).unlink()
    found = [fault for verdict in verify([world.root, world.top / "a"]) for fault in verdict.faults]
    assert ["archive one-00000001 is missing" in fault.reason for fault in found] == [True]


def test_a_record_of_a_run_that_was_killed_is_carried_out_or_revoked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.seal(4)
    url = world.destination("a")
    world.upload()
    world.run(Limits(count=2))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("consumer.ship.retention.retention.ship_digests", killed)
        with pytest.raises(KeyboardInterrupt):
            world.run(remote=remote(url))
    assert (ArchiveId("one", 1), str(url)) in retired(world.root)
    world.run(remote={url: Limits(count=3)})
    assert world.left_at(url) == [2, 3, 4]
    assert sorted(archive.sequence for archive, where in retired(world.root) if where == str(url)) == [1]
