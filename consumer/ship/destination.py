"""One destination: a pass ships everything that is in the archive directory and not there.

Invariants: the state is what the destination holds. The first pass lists it and asks for each object that has the name of a local file;
after that, a listing every `look_s` seconds finds objects that were removed or replaced. A failure of one file does not keep the others
from being shipped, also one that nobody expects; several failures in a row, or one that concerns the whole destination, end the pass.
A listing that fails does not: each object is asked for.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from consumer.archive import naming
from consumer.archive.reading.tombstones import SUFFIX as DELETED_SUFFIX
from consumer.errors import DeedboxError
from consumer.objects.errors import AccessDenied, BucketMissing, ObjectError
from consumer.objects.store import StoredObject
from consumer.ship.attempt import Due, Outcome, outcome_of, present
from consumer.ship.defects import describe
from consumer.ship.digest_gate import ArchiveLost, DigestGates, DigestWaits
from consumer.ship.health import Health
from consumer.ship.local_files import Kind, Listing, LocalFile, find_files
from consumer.ship.outcome import PassResult, Progress
from consumer.ship.pacing import Backoff, Bandwidth
from consumer.ship.record import Record
from consumer.ship.report import Report
from consumer.ship.target import Target
from consumer.ship.threads import each
from consumer.ship.upload import Changed, Shipped, Stopped, Uploader
from consumer.ship.witnesses import Witnesses

LOOK_S = 600.0  # between two listings of the destination
SIDES_S = 60.0  # between two looks for deletions while archives are sent
HEADS = 8  # head requests at the same time


@dataclass(frozen=True, slots=True)
class Limits:
    """`bandwidth`: of all destinations together. `uploads`: archives that are sent to one destination at the same time."""

    bandwidth: Bandwidth
    uploads: int = 2
    look_s: float = LOOK_S


class Destination:
    """Ships one directory to one URL. `run_pass` is called by one thread at a time."""

    def __init__(
        self,
        directory: Path,
        target: Target,
        limits: Limits,
        report: Report,
        stop: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = str(target.base)
        self.progress = Progress()
        self.backoff = Backoff()
        # Whether an archive may be rewritten soon, and is not shipped yet:
        self.is_changing: Callable[[Path], bool] = lambda _: False
        self._directory, self._target, self._limits, self._report, self._stop = directory, target, limits, report, stop
        self._clock = clock
        self._record = Record()
        self._witnesses = Witnesses(directory)
        self._uploader = Uploader(directory, target, self._witnesses, limits.bandwidth, stop, report.advance)
        self._next_look = self._next_sides = float("-inf")
        self._listed: dict[str, StoredObject] | None = None  # None: no listing has succeeded
        self._health = Health()  # in this pass

    def run_pass(self) -> PassResult:
        """Ship what is due. A failure of the destination or of a file is in the result, and is reported."""
        result = PassResult()
        self._health = Health()
        try:
            listing = find_files(self._directory)
            self._look(listing, result)
            self._ship_all(listing, self._due(listing, result), result)
        except ObjectError as error:
            self._health.fail(error)
        except OSError as error:
            self._fail_here(Path(error.filename or self._directory), error.strerror or str(error), result)
        self._end(result)
        return result

    def count(self) -> None:
        """Count what waits now, also what was sealed or rewritten after the last pass. Raises OSError."""
        self._expected(find_files(self._directory))

    def retry_s(self) -> float:
        """How many seconds until a file that has failed is tried again; 0 if none waits."""
        waiting = (one.backoff.wait_s(self._clock()) for one in self._record.problems.values() if not one.lasting)
        return max(waiting, default=0.0)

    def _look(self, listing: Listing, result: PassResult) -> None:
        """Take in the present files, and list the destination if it is time."""
        for path in listing.unread:
            self._fail_here(path, "the directory cannot be read", result)
        for path in (file.path for file in listing.files):
            if path.is_symlink() and not path.exists():
                self._fail_here(path, "the link leads to no file: a disk may not be mounted", result)
        names = {file.name for file in listing.files}
        self._record.keep(names)
        self._witnesses.look(listing.archives)
        if self._clock() < self._next_look:
            return
        self._next_look = self._clock() + self._limits.look_s
        try:
            self._listed = {name: info for name, info in self._target.list() if name in names}
        except ObjectError as error:
            if error.passing or isinstance(error, AccessDenied | BucketMissing):
                self._next_look = float("-inf")
                raise
            self._report.failed(self.name, "the listing", str(error), self._limits.look_s)
            return
        for name, reason in self._record.changed_there(self._listed):
            self._report.missing(self.name, name, reason)

    def _may_be_there(self, one: Due) -> bool:
        """Whether the destination may hold an object of this name, as far as its listing shows."""
        return self._listed is None or one.file.name in self._listed

    def _due(self, listing: Listing, result: PassResult) -> list[Due]:
        """The files to ship now, in their order. A file that waits after a failure is a problem of this pass too; one that changes is none."""
        due: list[Due] = []
        now = self._clock()
        for one in self._expected(listing):
            if wait := self._record.waits(one.file.name, one.stamp, now):
                self._note(result, one.file.name, wait.reason, retry=not wait.lasting)
            elif not self.is_changing(one.file.path):
                due.append(one)
        return due

    def _expected(self, listing: Listing) -> list[Due]:
        """The files that are not known to be there, in their order. They are counted."""
        found = [one for one in present(listing.files) if not self._record.is_verified(one.file.name, one.stamp)]
        self.progress.expect({one.file.name: one.size for one in found})
        return found

    def _ship_all(self, listing: Listing, due: Sequence[Due], result: PassResult) -> None:
        """Side files before archives, so that no reader sees a deleted event; digests last.

        What may be there already is asked first, by many requests at the same time. Deletions are shipped beside each object, also
        beside one that is refused: they name the head of their archive, and hide nothing of another one.
        """
        archives = [one for one in due if one.file.kind is Kind.ARCHIVE]
        archives.sort(key=lambda one: self._record.failures(one.file.name))  # what has failed comes last
        listed = [one for one in archives if self._may_be_there(one)]
        absent = {one.file.name for one in self._work(self._uploader.find, listed, HEADS, result)}
        to_send = [one for one in archives if one.file.name in absent or not self._may_be_there(one)]
        self._ship_sides([one for one in due if one.file.kind is Kind.SIDE], result)
        self._health.begin_part()
        for one in self._outcomes(self._uploader.ship, to_send, self._limits.uploads):
            self._take(*one, result)
            self._ship_late_sides(result)
        self._ship_digests(listing, [one for one in due if one.file.kind is Kind.DIGEST], result)

    def _ship_sides(self, due: Sequence[Due], result: PassResult) -> None:
        self._work(self._uploader.ship, [one for one in due if not self._is_of_problem(one.file)], HEADS, result)
        self._next_sides = self._clock() + SIDES_S

    def _ship_late_sides(self, result: PassResult) -> None:
        """While archives are sent, which may take hours, ship what was deleted meanwhile in archives that are there already."""
        if (now := self._clock()) >= self._next_sides and not self._is_ending():
            sides = present(file for file in find_files(self._directory).files if file.kind is Kind.SIDE)
            self._ship_sides([one for one in sides if self._is_due(one, now)], result)

    def _is_due(self, one: Due, now: float) -> bool:
        return not (
            self._record.is_verified(one.file.name, one.stamp) or self._record.waits(one.file.name, one.stamp, now)
        )

    def _ship_digests(self, listing: Listing, due: Sequence[Due], result: PassResult) -> None:
        """Digests in their order. One that must wait keeps the later ones of its instance waiting."""
        self._work(self._uploader.ship, [one for one in due if self._may_be_there(one)], HEADS, result)
        left = [one for one in due if not self._record.is_verified(one.file.name, one.stamp)]
        if not left:
            return
        gates = DigestGates(self._directory, self._target, self._record, listing)

        def ship(file: LocalFile) -> Shipped:
            gates.check(file)
            return self._uploader.ship(file)

        for _, digests in groupby(left, key=lambda one: one.file.path.parent):
            for one in digests:
                self._work(ship, [one], 1, result)
                if not self._record.is_verified(one.file.name, one.stamp):
                    break

    def _is_of_problem(self, side: LocalFile) -> bool:
        """Whether these are acknowledgements of an archive that could not be shipped: they may not be true of the object there."""
        if side.path.suffix == DELETED_SUFFIX:
            return False
        owner = side.path.name.removesuffix(side.path.suffix)
        return any(str(naming.parse_sealed(Path(name))) == owner for name in self._record.problems)

    def _work(
        self, work: Callable[[LocalFile], Shipped | None], due: Sequence[Due], count: int, result: PassResult
    ) -> list[Due]:
        """Do one part of the pass: the work for each file. Returns the files for which it gave None."""
        self._health.begin_part()
        return [one for one, outcome in self._outcomes(work, due, count) if not self._take(one, outcome, result)]

    def _outcomes(
        self, work: Callable[[LocalFile], Shipped | None], due: Sequence[Due], count: int
    ) -> Iterator[tuple[Due, Outcome]]:
        """Do the work for each file in threads. Ends early if the destination does not work."""

        def attempt(one: Due) -> Outcome:
            outcome = outcome_of(work, one.file)
            self._health.note(outcome)  # in the thread of the work, which begins no further file if it must not
            return outcome

        return each(attempt, due, min(count, len(due)), self._is_ending)

    def _take(self, one: Due, outcome: Outcome, result: PassResult) -> bool:
        """Note the outcome for a file. Whether there is one."""
        if isinstance(outcome, Shipped):
            self._note_shipped(one, outcome, result)
        elif outcome is not None:
            self._fail(one, outcome, result)
        return outcome is not None

    def _is_ending(self) -> bool:
        """Whether to begin no further file."""
        return self._health.is_down or self._stop.is_set()

    def _note_shipped(self, one: Due, shipped: Shipped, result: PassResult) -> None:
        self._health.works()
        self._record.verified(one.file.name, one.stamp, shipped.object)
        self.progress.drop(one.file.name)
        result.verified += 1
        if not shipped.sent:
            self._report.advance(one.size)
        else:
            result.shipped += 1
            result.shipped_bytes += shipped.sent
            self.progress.shipped += 1
            self.progress.shipped_bytes += shipped.sent
            self._report.shipped(self.name, one.file.name, shipped.sent, shipped.seconds)

    def _fail(self, one: Due, error: Exception, result: PassResult) -> None:
        """Note why a file was not shipped."""
        name, now = one.file.name, self._clock()
        match error:
            case Stopped():
                result.stopped = True
            case DigestWaits():
                self._note(result, name, error.what, retry=True)
            case BucketMissing():
                pass  # a failure of the destination, see `Health`
            case ObjectError() | Changed():
                denied = isinstance(error, AccessDenied)
                retry_s = self._record.failed(name, one.stamp, str(error), now, lasting=denied)
                self._report.failed(self.name, name, str(error), retry_s)
                self._note(result, name, str(error), retry=not denied)
            case FileNotFoundError():
                self.progress.drop(name)  # removed or moved in the meantime
            case DeedboxError() | OSError():
                reason = str(error) if isinstance(error, DeedboxError) else error.strerror or str(error)
                self._record.failed(name, one.stamp, reason, now, lasting=True)
                report = self._report.held if isinstance(error, ArchiveLost) else self._report.refused
                report(self.name, name, reason)
                self._note(result, name, reason, retry=False)
            case _:
                retry_s = self._record.failed(name, one.stamp, describe(error), now, lasting=True)
                self._report.defect(self.name, name, describe(error), retry_s)
                self._note(result, name, describe(error), retry=False)
                result.defect = error

    def _fail_here(self, path: Path, reason: str, result: PassResult) -> None:
        """Note a local file or directory that cannot be read."""
        self._report.failed(self.name, str(path), reason, 0.0)
        self._note(result, str(path), reason, retry=False)

    def _note(self, result: PassResult, name: str, reason: str, retry: bool) -> None:
        result.problems[name] = reason
        result.retry |= retry

    def _end(self, result: PassResult) -> None:
        """Note whether the destination works."""
        result.stopped |= self._stop.is_set()
        if (fault := self._health.fault) is None:
            if self.backoff.failures:
                self._report.works(self.name)
            self.backoff.succeeded()
            self.progress.reason = ""
            return
        result.down = self.progress.reason = str(fault)
        result.retry |= fault.passing
        self._report.down(self.name, result.down, self.backoff.failed(self._clock()))
