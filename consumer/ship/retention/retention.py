"""One run of retention over an archive directory and its destinations: decide, record, remove.

Invariants: first the digests record every archive that goes, as `retired`; then every destination has these digests; then each archive is
checked again and removed: first the archive, then the files beside it, so that a deleted event is never shown. One process at a time runs
retention on a directory. After a crash at any point the next run does the rest.
"""

import errno
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from codec.digest import LOCAL
from consumer.archive.digests.history import retired
from consumer.archive.digests.making import Retirement
from consumer.archive.digests.removing import RETENTION_LOCK
from consumer.archive.naming import ArchiveId
from consumer.disk.durable import Disk, held
from consumer.errors import DeedboxError, Exit, Fatal
from consumer.objects.url import ObjectUrl
from consumer.ship.retention import reserve
from consumer.ship.retention.check import Check, Finding
from consumer.ship.retention.digest_copies import Recorded, ship_digests
from consumer.ship.retention.limits import Limits
from consumer.ship.retention.local import Directory
from consumer.ship.retention.places import Place, look_at
from consumer.ship.retention.policy import Candidate, Decision, Stay, decide
from consumer.ship.retention.recording import Record, Revoke
from consumer.ship.retention.removal import remove_leftovers, remove_local, remove_object


@dataclass(frozen=True)
class Rules:
    """`local`: the limits of the archive directory. `remote`: those of each destination; a destination without limits keeps everything."""

    local: Limits
    remote: Mapping[ObjectUrl, Limits]

    def __bool__(self) -> bool:
        return bool(self.local) or any(self.remote.values())


@dataclass
class Result:
    """What a run decided, by place: `local` or a URL, with the reason for each archive that is no candidate. `removed`: what is gone."""

    decisions: dict[str, list[Decision]] = field(default_factory=dict)
    others: dict[Path, str] = field(default_factory=dict)
    removed: list[tuple[str, Decision]] = field(default_factory=list)

    def blocked(self) -> Iterator[tuple[str, list[Decision]]]:
        """The places with archives that a limit asks for and that stay, although nobody intended it."""
        for where, decisions in self.decisions.items():
            if found := [one for one in decisions if one.blocked]:
                yield where, found


@dataclass
class Retention:
    """Retention of one archive directory. `record` and `revoke`: append entries to the chain of digests, durably. `wall_us`: the time, in microseconds since 1970."""

    disk: Disk
    root: Path
    rules: Rules
    urls: Sequence[ObjectUrl]
    record: Record
    revoke: Revoke
    wall_us: Callable[[], int] = lambda: time.time_ns() // 1000

    def run(self, dry_run: bool = False) -> Result:
        """Decide, and remove what goes unless `dry_run`. Raises DeedboxError, OSError, and Fatal if another process runs retention."""
        if not self.rules:
            return Result()
        if not self.root.is_dir():
            raise DeedboxError(f"{self.root}: is not a directory", "name the directory of the archives")
        if dry_run:
            return self._decide(self._check())
        with held(self.disk, self.root / RETENTION_LOCK) as free:
            if not free:
                what = f"{self.root}: another process runs retention"
                raise Fatal(Exit.INSTANCE, what, "wait until it has ended")
            reserve.keep(self.root)
            result = self._run()
            reserve.keep(self.root)
            return result

    def _record(self, entries: Sequence[Retirement]) -> None:
        """Record what goes. On a full disk the reserve makes room for it."""
        try:
            self.record(entries)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not reserve.give(self.root):
                raise
            self.record(entries)

    def _check(self) -> Check:
        root = self.root.absolute()
        return Check(Directory.look(root), look_at(self.urls), retired(root))

    def _run(self) -> Result:
        check = self._check()
        remove_leftovers(self.disk, check.directory, check.retired)
        result = self._decide(check)
        gone = [(where, one) for where, decisions in result.decisions.items() for one in decisions if one.goes]
        waiting = self._carry_out(check, result, gone) if gone else set()
        if kept := _still_there(check, gone) - waiting:
            self.revoke(kept)
        return result

    def _carry_out(
        self, check: Check, result: Result, gone: Sequence[tuple[str, Decision]]
    ) -> set[tuple[ArchiveId, str]]:
        """Record what goes, and remove it. Returns what waits for the digests at a destination: the next run removes it."""
        waiting = set()
        self._record([_entry(where, one, check.findings[where, one.candidate.name]) for where, one in gone])
        copies = self._ship_digests(check, gone)
        for where, one in gone:
            place = (one.candidate.archive, where)
            waits = next((copy.waits for copy in copies if place not in copy.entries), None)
            if waits is None:
                self._remove(check, result, where, one)
            else:
                waiting.add(place)
                _keep(result, where, one, (Stay(waits),))
        return waiting

    def _decide(self, check: Check) -> Result:
        now_us = self.wall_us()
        free = self.disk.free_bytes(check.directory.root)
        found = Result(others=check.directory.others)
        if self.rules.local:
            candidates = check.directory.candidates()
            found.decisions[LOCAL] = decide(candidates, self.rules.local, now_us, free, partial(_why, check, None))
        for place in check.places:
            if limits := self.rules.remote.get(place.url):
                candidates = place.candidates()
                found.decisions[str(place)] = decide(candidates, limits, now_us, 0, partial(_why, check, place))
        return found

    def _ship_digests(self, check: Check, gone: Sequence[tuple[str, Decision]]) -> list[Recorded]:
        """Bring the digests to every destination. What each of them records then."""
        instances = sorted({one.candidate.archive.instance for _, one in gone})
        return [ship_digests(check.directory.root, place, instances) for place in check.places]

    def _remove(self, check: Check, result: Result, where: str, one: Decision) -> None:
        """Check an archive once more, and remove it."""
        place = next((place for place in check.places if str(place) == where), None)
        if place is None:
            stays = remove_local(self.disk, check, one.candidate)
        else:
            stays = remove_object(check, place, one.candidate)
        if stays:
            _keep(result, where, one, stays)
        else:
            result.removed.append((where, one))


def _still_there(check: Check, gone: Sequence[tuple[str, Decision]]) -> set[tuple[ArchiveId, str]]:
    """What digests record as retired from a destination, and what is there. A destination that does not answer is left to the next run."""
    recorded = {*check.retired, *((one.candidate.archive, where) for where, one in gone)}
    there = {(archive, str(place)) for place in check.places if not place.fault for archive in place.archives()}
    return recorded & there


def _why(check: Check, place: Place | None, candidate: Candidate) -> tuple[Stay, ...]:
    """Why an archive stays at a place (None: the archive directory). The finding is kept for the record of its removal."""
    finding = check.local(candidate) if place is None else check.remote(place, candidate)
    check.findings[LOCAL if place is None else str(place), candidate.name] = finding
    return finding.stays


def _entry(where: str, one: Decision, finding: Finding) -> Retirement:
    candidate = one.candidate
    reason = f"retention: {one.reason}"
    name = candidate.name.encode("utf-8", "backslashreplace").decode()  # as digests list it
    return Retirement(candidate.archive, name, finding.sha256, where, finding.kept, reason)


def _keep(result: Result, where: str, one: Decision, stays: tuple[Stay, ...]) -> None:
    """An archive stays although it was to go."""
    decisions = result.decisions[where]
    decisions[decisions.index(one)] = replace(one, stays=stays)
