"""`verify` over several places, with and without digests: which mutation it notices, and how it classes each gap."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from codec.digest import LOCAL
from consumer.archive.checking.verdict import GapClass, Verdict
from consumer.archive.checking.verify import Verification, every
from consumer.archive.digests.making import Retirement, make_due, retire
from consumer.archive.digests.signing import init_key, load_key, load_public_keys
from consumer.archive.listing import find_archives, sorted_archives
from consumer.archive.location import Location
from consumer.archive.naming import ArchiveId
from consumer.archive.reading.reader import open_at
from consumer.archive.reading.sha256 import sha256_of
from consumer.disk.durable import Disk, held
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from tests.consumer.archive.reading.test_reader import offsets
from tests.support.archive_logs import archive_log, some
from tests.support.command_line import deedbox

HOUR_US = 3_600_000_000
NOW_US = 1_764_000_000_000_000
COUNT = 4


@dataclass
class Places:
    """An archive directory with digests, and its destination in the store of this process."""

    local: Path
    remote: ObjectUrl
    key: Path

    def archive(self, sequence: int) -> Path:
        """The local path of an archive."""
        return next(path for path in find_archives([self.local]) if path.name.endswith(f"-{sequence:08d}.kvp.zst"))

    def url(self, sequence: int) -> ObjectUrl:
        """The URL of an archive."""
        return next(url for url in find_archives([self.remote]) if str(url).endswith(f"-{sequence:08d}.kvp.zst"))

    def digest(self, number: int) -> Path:
        return self.local / f"digests/one/{number:08d}.digest"

    def digest_url(self, number: int) -> ObjectUrl:
        return self.remote / f"digests/one/{number:08d}.digest"

    def ship(self, *sequences: int) -> None:
        """Copy the archives, and all digests, as the shipper does."""
        for path in find_archives([self.local]):
            if not sequences or int(path.name.split("-")[-1][:8]) in sequences:
                with open_at(path) as archive:
                    sha256 = sha256_of(archive)
                self.put(path, {"sha256": sha256, "original": sha256})
        for path in sorted(self.local.glob("digests/*/*.digest")):
            self.put(path, {})

    def put(self, path: Path, attributes: dict[str, str]) -> None:
        store_of(self.remote).put(self.remote / str(path.relative_to(self.local)), path.read_bytes(), attributes)

    def replace(self, url: ObjectUrl, change: Callable[[bytes], bytes]) -> None:
        """Change the content of an object. Its attributes stay."""
        found = store_of(url).head(url)
        assert found is not None
        store_of(url).put(url, change(store_of(url).get(url)), found[1])

    def retire(self, sequence: int, where: str, *kept: str) -> None:
        """Record that policy removes an archive."""
        entry = Retirement(ArchiveId("one", sequence), f"x/{sequence}", "ab" * 32, where, kept, "age")
        retire(Disk(), self.local, [entry], NOW_US + 4 * HOUR_US, HOUR_US, load_key(self.key))

    def due(self, hour: float) -> None:
        make_due(Disk(), self.local, NOW_US + int(hour * HOUR_US), HOUR_US, load_key(self.key))


@pytest.fixture
def places(tmp_path: Path) -> Places:
    (tmp_path / "key.pub").write_text(init_key(Disk(), tmp_path / "key"))
    found = Places(tmp_path / "archive", ObjectUrl("memory", tmp_path.name, "prefix"), tmp_path / "key")
    log = archive_log(found.local)
    for hour in range(COUNT):
        log.append(some(10 * hour, 4))
        log.roll("count")
        found.due(hour)
    found.ship()
    return found


@dataclass
class Result:
    """`faults`: the codes, each with the archive. `gaps`: the classes, each with the archive."""

    complete: bool
    faults: set[str]
    gaps: set[str]
    run: Verification
    verdicts: list[Verdict]


def verified(places: Places, *paths: Location, deep: bool = False) -> Result:
    keys = load_public_keys([places.key.with_name("key.pub")])
    run = Verification(paths, keys=keys, select=every if deep else lambda _: frozenset())
    verdicts = list(run.verdicts())
    names = {id(one): str(one.id.sequence) if one.id else one.subject or one.path.name for one in verdicts}
    faults = {f"{names[id(one)]} {fault.code}" for one in verdicts for fault in one.faults}
    gaps = {f"{names[id(one)]} {one.gap}" for one in verdicts if one.gap}
    return Result(not faults, faults, gaps, run, verdicts)


def test_whole_places_are_complete(places: Places) -> None:
    for paths in ((places.local,), (places.remote,), (places.local, places.remote)):
        for deep in (False, True):
            found = verified(places, *paths, deep=deep)
            assert (found.complete, found.gaps) == (True, set())
            assert [(one.instance, one.digests, one.until_us, one.is_whole, one.signed) for one in found.run.proof.digests] == [
                ("one", COUNT, NOW_US + 3 * HOUR_US, True, True)
            ]  # fmt: skip
            count = COUNT * len(paths)
            assert (found.run.proof.deep, found.run.proof.light) == ((count, 0) if deep else (0, count))
            assert sum(one.events for one in found.verdicts) == 4 * count


# Mutation of the only place -> what is found from heads, footers and digests, and what a deep check finds besides.
Change = Callable[[Places], object]


def flip(path: Path, at: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.chmod(0o600)
    path.write_bytes(raw)


def in_frame(places: Places) -> int:
    """An offset in the frame of the only batch of archive 2."""
    return offsets(places.archive(2))[0] + 96 + 20


def exchange(places: Places) -> None:
    """Another archive of the same name, made by another run: everything in it is consistent."""
    other = archive_log(places.local.parent / "other")
    for sequence in range(1, 3):
        other.append(some(100 * sequence, 4))
        other.roll("count")
    path = places.archive(2)
    path.chmod(0o600)
    path.write_bytes(find_archives([places.local.parent / "other"])[1].read_bytes())


def forget_instance(places: Places) -> None:
    """Remove all archives of the instance, and what names them."""
    for path in find_archives([places.local]):
        path.unlink()
    for suffix in (".ledger", ".committed"):
        (places.local / f"one{suffix}").unlink()


def cut(path: Path, size: int) -> None:
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-size])


def forget_newest(places: Places) -> None:
    """Remove the newest archives, and what names them."""
    for sequence in (3, 4):
        places.archive(sequence).unlink()
    for suffix in (".ledger", ".committed"):
        (places.local / f"one{suffix}").unlink()


LOCALLY: dict[str, tuple[Change, set[str], set[str]]] = {
    "oldest removed": (lambda it: it.archive(1).unlink(), {"1 archive_missing"}, set()),
    "middle removed": (lambda it: it.archive(2).unlink(), {"2 archive_missing"}, set()),
    "newest removed with ledger": (forget_newest, {"3 archive_missing", "4 archive_missing"}, set()),
    "all removed with ledger": (forget_instance, {f"{one} archive_missing" for one in range(1, 5)}, set()),
    "renamed to no archive": (
        lambda it: it.archive(2).rename(it.archive(2).with_name("x")),
        {"2 archive_missing"},
        set(),
    ),
    "renamed to another sequence": (
        lambda it: it.archive(2).rename(it.archive(2).with_name(it.archive(2).name.replace("00000002", "00000007"))),
        {"2 archive_missing", "7 head_name"},
        set(),
    ),
    "duplicated": (
        lambda it: shutil.copy(it.archive(2), it.local / it.archive(2).name),
        {"2 archive_twice"},
        set(),
    ),
    "duplicated as another sequence": (
        lambda it: shutil.copy(it.archive(2), it.archive(2).with_name(it.archive(2).name.replace("02.kvp", "07.kvp"))),
        {"7 head_name"},
        set(),
    ),
    "exchanged": (exchange, {"2 archive_changed"}, {"3 archive_changed"}),
    "head altered": (lambda it: flip(it.archive(2), 40), {"2 archive_changed", "2 gap"}, {"3 archive_changed"}),
    "batch altered": (lambda it: flip(it.archive(2), in_frame(it)), set(), {"2 gap", "2 archive_changed", "2 footer_batches", "2 footer_events", "3 archive_changed", "3 events_missing"}),
    "footer altered": (lambda it: flip(it.archive(2), -100), {"2 archive_changed", "2 gap"}, {"3 archive_changed"}),
    "cut short": (lambda it: cut(it.archive(2), 20), {"2 archive_changed", "2 gap"}, {"3 archive_changed"}),
    "emptied": (lambda it: cut(it.archive(2), it.archive(2).stat().st_size), {"2 archive_changed", "2 empty_file", "3 events_missing"}, {"3 archive_changed"}),
    "digest in the middle removed": (lambda it: it.digest(2).unlink(), {"one.digests digest_missing"}, set()),
    "digest altered": (
        lambda it: it.digest(2).write_bytes(it.digest(2).read_bytes().replace(b'"events":4', b'"events":3')),
        {"one.digests digest_changed", "one.digests digest_signature"},
        set(),
    ),
    "digest renamed": (lambda it: it.digest(2).rename(it.digest(9)), {"one.digests digest_missing", "one.digests digest_damaged"}, set()),
    "digest duplicated": (lambda it: shutil.copy(it.digest(2), it.digest(5)), {"one.digests digest_damaged"}, set()),
    # Not noticed, because nothing at this place names them any more; the time until which the proof reaches shows it.
    "newest digest removed": (lambda it: it.digest(4).unlink(), set(), set()),
}  # fmt: skip


@pytest.mark.parametrize("name", LOCALLY)
def test_a_mutation_of_a_directory_is_noticed(places: Places, name: str) -> None:
    change, light, deeper = LOCALLY[name]
    change(places)
    assert verified(places, places.local).faults == light
    assert verified(places, places.local, deep=True).faults == light | deeper


def test_the_removal_of_the_newest_archives_with_their_digests_shows_in_the_time_of_the_proof(places: Places) -> None:
    forget_newest(places)
    for number in (3, 4):
        places.digest(number).unlink()
    found = verified(places, places.local)
    assert (found.complete, found.run.proof.digests[0].until_us) == (True, NOW_US + HOUR_US)
    assert verified(places, places.local, places.remote).gaps == {
        "3 elsewhere",
        "4 elsewhere",
        "00000003.digest elsewhere",
    }


def delete(url: ObjectUrl) -> None:
    store_of(url).delete(url)


def change_bytes(at: int) -> Callable[[bytes], bytes]:
    def changed(raw: bytes) -> bytes:
        found = bytearray(raw)
        found[at] ^= 1
        return bytes(found)

    return changed


def exchange_object(places: Places) -> None:
    exchange(places)
    raw = places.archive(2).read_bytes()
    places.replace(places.url(2), lambda _: raw)


# Mutation of the destination -> what `verify URL` finds; what `verify DIR URL` finds; the gaps that it shows.
REMOTELY: dict[str, tuple[Change, set[str], set[str], set[str]]] = {
    "oldest removed": (lambda it: delete(it.url(1)), {"1 archive_missing"}, set(), {"1 delayed"}),
    "middle removed": (lambda it: delete(it.url(2)), {"2 archive_missing"}, set(), {"2 delayed"}),
    "newest removed": (lambda it: delete(it.url(4)), {"4 archive_missing"}, set(), {"4 delayed"}),
    "all removed": (
        lambda it: [delete(it.url(one)) for one in range(1, 5)],
        {f"{one} archive_missing" for one in range(1, 5)},
        set(),
        {f"{one} delayed" for one in range(1, 5)},
    ),
    "head altered": (lambda it: it.replace(it.url(2), change_bytes(40)), {"2 archive_changed", "2 gap"}, {"2 archive_changed", "2 gap"}, set()),
    "footer altered": (lambda it: it.replace(it.url(2), change_bytes(-100)), {"2 archive_changed", "2 gap"}, {"2 archive_changed", "2 gap"}, set()),
    "cut short": (lambda it: it.replace(it.url(2), lambda raw: raw[:-20]), {"2 archive_changed", "2 gap"}, {"2 archive_changed", "2 gap"}, set()),
    "digest in the middle removed": (lambda it: delete(it.digest_url(2)), {"one.digests digest_missing"}, set(), {"00000002.digest elsewhere"}),
    "newest digest removed": (lambda it: delete(it.digest_url(4)), set(), set(), {"00000004.digest delayed"}),
    "digest altered": (
        lambda it: it.replace(it.digest_url(2), lambda raw: raw.replace(b'"events":4', b'"events":3')),
        {"one.digests digest_changed", "one.digests digest_signature"},
        {"one.digests digest_changed"},
        set(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REMOTELY)
def test_a_mutation_of_a_destination_is_noticed(places: Places, name: str) -> None:
    change, alone, together, gaps = REMOTELY[name]
    change(places)
    assert verified(places, places.remote).faults == alone
    found = verified(places, places.local, places.remote)
    assert (found.faults, found.gaps) == (together, gaps)


def test_an_object_of_the_same_name_with_other_content_is_noticed(places: Places) -> None:
    original = places.archive(2).read_bytes()
    exchange_object(places)
    places.archive(2).write_bytes(original)
    assert verified(places, places.remote).faults == {"2 archive_changed"}
    assert verified(places, places.local, places.remote).faults == {"2 archive_changed", "2 copies_differ"}


def test_without_digests_two_different_archives_of_one_name_are_noticed(places: Places) -> None:
    shutil.rmtree(places.local / "digests")
    for number in range(1, COUNT + 1):
        delete(places.digest_url(number))
    exchange(places)
    assert "2 copies_differ" in verified(places, places.local, places.remote).faults


def test_bad_contents_are_found_by_a_deep_check_of_the_destination(places: Places) -> None:
    """wal-g#1084: it finds holes and not bad contents."""
    places.replace(places.url(2), change_bytes(in_frame(places)))
    assert verified(places, places.remote).complete
    found = verified(places, places.remote, deep=True)
    assert {"2 gap", "2 archive_changed"} <= found.faults
    assert any("its attribute says" in fault.reason for one in found.verdicts for fault in one.faults)


def test_an_archive_that_is_nowhere_is_lost_also_between_what_each_place_has(places: Places) -> None:
    """The directory begins after the gap and the destination ends before it: neither of them shows it alone."""
    shutil.rmtree(places.local / "digests")
    for number in range(1, COUNT + 1):
        delete(places.digest_url(number))
    for sequence in (1, 2, 3):
        places.archive(sequence).unlink()
    for sequence in (3, 4):
        delete(places.url(sequence))
    assert verified(places, places.local).complete
    assert verified(places, places.remote).complete
    assert verified(places, places.local, places.remote).faults == {"4 archive_missing"}


def test_what_is_not_shipped_yet_is_delayed_and_no_loss(places: Places) -> None:
    log = archive_log(places.local)
    log.append(some(90, 2))
    log.roll("count")
    log.append(some(95, 2))  # the open one is not due
    found = verified(places, places.local, places.remote)
    assert (found.complete, found.gaps) == (True, {"5 delayed"})
    assert found.run.proof.gaps[GapClass.DELAYED] == 1


def test_what_is_being_shipped_is_uploading(places: Places) -> None:
    """thanos#8182: a slow upload is taken for a dead one, and deleted."""
    delete(places.url(3))
    folder = places.local / "uploading"
    folder.mkdir()
    with held(Disk(), folder / "one-00000003"):
        assert verified(places, places.local, places.remote).gaps == {"3 uploading"}
    assert verified(places, places.local, places.remote).gaps == {"3 delayed"}


def test_retention_does_not_look_like_loss(places: Places) -> None:
    """wal-g#1869."""
    url = str(places.remote)
    for sequence in (1, 2):
        places.retire(sequence, LOCAL, url)
    for sequence in (1, 2):
        places.archive(sequence).unlink()
    for paths in ((places.local,), (places.local, places.remote)):
        found = verified(places, *paths)
        assert (found.complete, found.gaps - {"00000005.digest delayed"}) == (True, {"1 retired", "2 retired"})
    places.retire(1, url)
    delete(places.url(1))
    places.ship(4)
    for paths in ((places.local,), (places.remote,), (places.local, places.remote)):
        assert verified(places, *paths).complete


def test_a_destination_that_lost_what_retention_left_to_it_is_lost(places: Places) -> None:
    """The hole of rabbitmq-stream-s3#210: the local copy is freed, and the remote one is not there."""
    places.retire(1, LOCAL, str(places.remote))
    places.archive(1).unlink()
    delete(places.url(1))
    assert verified(places, places.local).complete  # the destination is not checked
    assert verified(places, places.local, places.remote).faults == {"1 archive_missing"}
    bucket = ObjectUrl(places.remote.scheme, places.remote.bucket)
    assert verified(places, places.local, bucket).faults == {"1 archive_missing"}  # named above the destination


def test_a_destination_that_was_added_after_retention_owes_nothing(places: Places) -> None:
    places.retire(1, LOCAL, "s3://elsewhere")
    places.archive(1).unlink()
    delete(places.url(1))
    places.ship(2, 3, 4)
    assert verified(places, places.local, places.remote).complete


def test_a_rewritten_archive_is_accepted_at_either_place(places: Places) -> None:
    """compact and repack are legitimate; the destination has the old bytes for a while."""
    from consumer.archive.rewriting.repack import repack

    log = archive_log(places.local)
    for serial in range(90, 130):
        log.append(some(serial, 1))
    log.roll("count")
    places.due(8)
    places.ship()
    assert [str(one.path) for one in repack(Disk(), [places.archive(5)])] == [str(places.archive(5))]
    for deep in (False, True):
        found = verified(places, places.local, places.remote, deep=deep)
        assert (found.faults, found.gaps) == (set(), set())
    places.due(9)
    assert verified(places, places.local).complete
    places.ship()
    for deep in (False, True):
        assert verified(places, places.local, places.remote, deep=deep).complete


def test_a_known_loss_does_not_stay_red(places: Places) -> None:
    """wal-g#1590: a known loss stays red for ever."""
    from consumer.archive.checking.acknowledged import acknowledge

    places.archive(2).unlink()
    places.digest(3).unlink()
    for verdict in verified(places, places.local).verdicts:
        if verdict.faults:
            acknowledge(Disk(), verdict, "disk 3 died", "2026-11-28T23:00:00Z")
    found = verified(places, places.local)
    assert found.complete
    assert found.run.proof.gaps == {GapClass.ACKNOWLEDGED: 1}
    places.archive(3).unlink()  # another loss, of an archive that only the lost digest listed
    assert verified(places, places.local).faults == {"4 archive_missing"}


def test_an_archive_that_retention_removes_during_the_run_is_no_fault(places: Places) -> None:
    """Litestream #253, #431: false alarms."""
    victim = places.archive(1)

    def mapped(check, checks):  # type: ignore[no-untyped-def]
        places.retire(1, LOCAL, str(places.remote))
        victim.unlink()
        yield from map(check, checks)

    run = Verification([places.local], mapped, select=lambda _: frozenset())
    verdicts = list(run.verdicts())
    assert [str(fault) for one in verdicts for fault in one.faults] == []
    assert run.proof.gaps == {GapClass.RETIRED: 1}


def test_an_archive_that_vanishes_during_the_run_without_a_reason_is_lost(places: Places) -> None:
    victim = places.archive(1)

    def mapped(check, checks):  # type: ignore[no-untyped-def]
        victim.unlink()
        yield from map(check, checks)

    run = Verification([places.local], mapped, select=lambda _: frozenset())
    assert [fault.code for one in run.verdicts() for fault in one.faults] == ["archive_missing"]


def test_an_archive_that_is_shipped_and_removed_between_the_listings_is_no_fault(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory is listed first: what is not there any more is at the destination already."""
    shutil.rmtree(places.local / "digests")
    for number in range(1, COUNT + 1):
        delete(places.digest_url(number))
    delete(places.url(2))
    listings = []

    def listed(roots: Sequence[Location]) -> Sequence[Location]:
        found = sorted_archives(roots)
        if not listings:
            places.ship(2)
            places.archive(2).unlink()
        listings.append(roots)
        return found

    monkeypatch.setattr("consumer.archive.checking.verify.sorted_archives", listed)
    found = verified(places, places.remote, places.local)
    assert (found.complete, len(listings) > 1) == (True, True)


def test_an_archive_that_is_sealed_and_listed_during_the_run_is_no_fault(places: Places) -> None:
    def mapped(check, checks):  # type: ignore[no-untyped-def]
        log = archive_log(places.local)
        log.append(some(90, 2))
        log.roll("count")
        places.due(7)
        yield from map(check, checks)

    run = Verification([places.local, places.remote], mapped, select=lambda _: frozenset())
    assert [fault for one in run.verdicts() for fault in one.faults] == []


def test_directories_alone_are_checked_each_by_itself(places: Places, tmp_path: Path) -> None:
    """Two machines may use one name of an instance."""
    other = archive_log(tmp_path / "other")
    other.append(some(0, 2))
    other.roll("count")
    places.archive(2).unlink()
    assert verified(places, places.local, tmp_path / "other").faults == {"2 archive_missing"}


def test_what_was_proved_is_said(places: Places) -> None:
    lines = verified(places, places.local).run.proof.lines()
    assert lines[0] == (
        "with digests: one: every archive that was sealed until 2025-11-24T19:00:00.000000Z was looked for (4 digests, signed)"
    )
    assert lines[1].startswith("not deep: the heads and footers of 4 archives were read")
    shutil.rmtree(places.local / "digests")
    lines = verified(places, places.local).run.proof.lines()
    assert lines[0] == "without digests: one: the removal of the newest archives, or of all, may not be noticed"


def test_a_loss_that_was_acknowledged_at_its_origin_is_known_at_the_destination(tmp_path: Path) -> None:
    """Through the command line: ship, lose an archive at both places, acknowledge it, ship again, verify each place alone."""
    directory, copy = tmp_path / "archive", tmp_path / "copy"
    copy.mkdir()
    log = archive_log(directory)
    for first in (0, 10, 20):
        log.append(some(first, 2))
        log.roll("count")
    ship = ("ship", directory, "--to", f"file://{copy}", "--once")
    assert deedbox(*ship).returncode == 0
    for place in (directory, copy):
        find_archives([place])[1].unlink()
        assert deedbox("verify", place, "--no-deep").returncode == 1
    done = deedbox("verify", directory, "--acknowledge", "--reason", "disk 3 died")
    assert done.returncode == 0
    assert deedbox(*ship).returncode == 0
    for place in (directory, copy):
        done = deedbox("verify", place)
        assert (done.returncode, done.stdout.count("(disk 3 died)")) == (0, 1), done.stdout


def test_a_directory_is_a_destination_too(places: Places, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for path in [*find_archives([places.local]), *places.local.glob("digests/*/*.digest")]:
        (copy / path.relative_to(places.local)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy / path.relative_to(places.local))
    there = find_archives([copy])
    there[1].unlink()
    assert verified(places, copy).faults == {"2 archive_missing"}
    found = verified(places, copy, places.local)
    assert (found.complete, found.gaps) == (True, {"2 delayed"})
    places.archive(2).unlink()
    assert verified(places, copy, places.local).faults == {"2 archive_missing"}


def test_a_directory_from_which_policy_removed_everything_is_complete(places: Places) -> None:
    for sequence in range(1, COUNT + 1):
        places.retire(sequence, LOCAL, str(places.remote))
    for path in find_archives([places.local]):
        path.unlink()
    done = deedbox("verify", places.local)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("complete: 0 archives, 0 events")
    assert "4 retired" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("left", ["nothing", "a foreign object", "the newest digest"])
def test_an_emptied_destination_that_kept_archives_has_lost_them(places: Places, left: str) -> None:
    for sequence in (1, 2):
        places.retire(sequence, LOCAL, str(places.remote))
        places.archive(sequence).unlink()
    for one in list(store_of(places.remote).list(places.remote)):
        if not (left == "the newest digest" and one.url == places.digest_url(4)):
            delete(one.url)
    if left == "a foreign object":
        store_of(places.remote).put(places.remote / "README", b"x", {})
    found = verified(places, places.local, places.remote)
    assert found.faults == {"1 archive_missing", "2 archive_missing"}
    assert {"3 delayed", "4 delayed"} <= found.gaps


def test_an_archive_that_a_step_moved_away_is_still_owed_by_its_destination(places: Places) -> None:
    places.retire(2, LOCAL)
    places.archive(2).unlink()
    assert verified(places, places.local, places.remote).complete
    delete(places.url(2))
    assert verified(places, places.local, places.remote).faults == {"2 archive_missing"}
