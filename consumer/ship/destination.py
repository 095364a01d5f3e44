"""One destination: a pass ships everything that is in the archive directory and not there.

Invariants: the state is what the destination holds. The first pass lists it and asks for each object that has the name of a local file;
after that, a listing every `look_s` seconds finds objects that were removed or replaced. A failure of one file does not keep the others
from being shipped; FAILURES_MAX failures in a row, or one that concerns the whole destination, end the pass.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from consumer.archive import naming
from consumer.archive.reading.tombstones import SUFFIX as DELETED_SUFFIX
from consumer.errors import DeedboxError
from consumer.objects.errors import AccessDenied, BucketMissing, ObjectError
from consumer.objects.store import StoredObject
from consumer.ship.digest_gate import ArchiveLost, DigestGates, DigestWaits
from consumer.ship.local_files import Kind, Listing, LocalFile, find_files, is_shippable_name
from consumer.ship.outcome import PassResult, Progress
from consumer.ship.pacing import Backoff, Bandwidth
from consumer.ship.record import Record, Stamps
from consumer.ship.report import Report
from consumer.ship.target import Target
from consumer.ship.threads import each
from consumer.ship.upload import Changed, Refused, Shipped, Stopped, Uploader
from consumer.ship.witnesses import Witnesses

LOOK_S = 600.0  # between two listings of the destination
HEADS = 8  # head requests at the same time
FAILURES_MAX = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """`bandwidth`: of all destinations together. `uploads`: archives that are sent to one destination at the same time."""

    bandwidth: Bandwidth
    uploads: int = 2
    look_s: float = LOOK_S


class Due(NamedTuple):
    """A file to ship, in the state in which it was found."""

    file: LocalFile
    stamp: Stamps

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return sum(one.size for one in self.stamp)


Outcome = Shipped | Exception | None  # None: it is not there


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
        self._directory, self._target, self._limits, self._report, self._stop = directory, target, limits, report, stop
        self._clock = clock
        self._record = Record()
        self._witnesses = Witnesses(directory)
        self._uploader = Uploader(directory, target, self._witnesses, limits.bandwidth, stop, report.advance)
        self._next_look = float("-inf")
        self._listed: dict[str, StoredObject] = {}
        self._failures = 0  # in a row, in this pass
        self._fault: ObjectError | None = None  # of the whole destination, in this pass

    def run_pass(self) -> PassResult:
        """Ship what is due. A failure of the destination or of a file is in the result, and is reported."""
        result = PassResult()
        self._failures, self._fault = 0, None
        try:
            listing = find_files(self._directory)
            self._look(listing, result)
            self._ship_all(listing, self._due(listing, result), result)
        except ObjectError as error:
            self._fault = error
        except OSError as error:
            self._fail_here(Path(error.filename or self._directory), error.strerror or str(error), result)
        self._end(result)
        return result

    def retry_s(self) -> float:
        """How many seconds until a file that has failed is tried again; 0 if none waits."""
        now = self._clock()
        return max((one.backoff.wait_s(now) for one in self._record.problems.values() if not one.lasting), default=0.0)

    def _look(self, listing: Listing, result: PassResult) -> None:
        """Take in the present files, and list the destination if it is time."""
        for path in listing.unread:
            self._fail_here(path, "the directory cannot be read", result)
        names = {file.name for file in listing.files}
        self._record.keep(names)
        self._witnesses.look(listing.archives)
        if self._clock() < self._next_look:
            return
        self._listed = {name: info for name, info in self._target.list() if name in names}
        for name, reason in self._record.changed_there(self._listed):
            self._report.missing(self.name, name, reason)
        self._next_look = self._clock() + self._limits.look_s

    def _due(self, listing: Listing, result: PassResult) -> list[Due]:
        """The files to ship now, in their order. A file that waits after a failure is a problem of this pass too."""
        due: list[Due] = []
        waiting_bytes, now = 0, self._clock()
        for file in listing.files:
            try:
                stamp = file.stamps()
            except FileNotFoundError:
                continue  # removed in the meantime
            if self._record.is_verified(file.name, stamp):
                continue
            waiting_bytes += Due(file, stamp).size
            if wait := self._record.waits(file.name, stamp, now):
                self._note(result, file.name, wait.reason, retry=not wait.lasting)
            else:
                due.append(Due(file, stamp))
        self.progress.waiting, self.progress.waiting_bytes = len(due) + len(result.problems), waiting_bytes
        return due

    def _ship_all(self, listing: Listing, due: Sequence[Due], result: PassResult) -> None:
        """Side files before archives, so that no reader sees a deleted event; digests last.

        What may be there already is asked first, by many requests at the same time. Deletions are shipped beside each object, also
        beside one that is refused: they name the head of their archive, and hide nothing of another one.
        """
        archives = [one for one in due if one.file.kind is Kind.ARCHIVE]
        listed = [one for one in archives if one.file.name in self._listed]
        absent = {one.file.name for one in self._work(self._uploader.find, listed, HEADS, result)}
        to_send = [one for one in archives if one.file.name in absent or one.file.name not in self._listed]
        to_send.sort(key=lambda one: self._record.failures(one.file.name))  # what has failed comes last
        sides = [one for one in due if one.file.kind is Kind.SIDE and not self._is_of_problem(one.file)]
        self._work(self._uploader.ship, sides, HEADS, result)
        self._work(self._uploader.ship, to_send, self._limits.uploads, result)
        self._ship_digests(listing, [one for one in due if one.file.kind is Kind.DIGEST], result)

    def _ship_digests(self, listing: Listing, due: Sequence[Due], result: PassResult) -> None:
        """Digests in their order. One that must wait keeps the later ones of its instance waiting."""
        self._work(self._uploader.ship, [one for one in due if one.file.name in self._listed], HEADS, result)
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
        """Do the work for each file in threads. Returns the files for which it gave None. Ends early if the destination does not work."""
        left = []

        def attempt(one: Due) -> Outcome:
            outcome = _outcome_of(work, one.file)
            self._judge(
                outcome
            )  # in the thread of the work, which begins no further file if the destination does not work
            return outcome

        for one, outcome in each(attempt, due, min(count, len(due)), self._is_ending):
            if outcome is None:
                left.append(one)
            elif isinstance(outcome, Shipped):
                self._note_shipped(one, outcome, result)
            else:
                self._fail(one, outcome, result)
        return left

    def _judge(self, outcome: Outcome) -> None:
        """Note whether the destination works."""
        if not isinstance(outcome, ObjectError):
            self._failures = 0
            return
        self._failures += 1
        if isinstance(outcome, AccessDenied | BucketMissing) or self._failures >= FAILURES_MAX:
            self._fault = self._fault or outcome

    def _is_ending(self) -> bool:
        """Whether to begin no further file."""
        return self._fault is not None or self._stop.is_set()

    def _note_shipped(self, one: Due, shipped: Shipped, result: PassResult) -> None:
        self._record.verified(one.file.name, one.stamp, shipped.object)
        self.progress.waiting -= 1
        self.progress.waiting_bytes -= one.size
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
        """Note why a file was not shipped. Raises what is no failure of a file or a destination."""
        name, now = one.file.name, self._clock()
        match error:
            case Stopped():
                result.stopped = True
            case DigestWaits() | Changed():
                self._note(result, name, error.what, retry=True)
            case AccessDenied() | BucketMissing():
                pass  # the fault of the destination, see `_judge`
            case ObjectError():
                retry_s = self._record.failed(name, one.stamp, str(error), now, lasting=False)
                self._report.failed(self.name, name, str(error), retry_s)
                self._note(result, name, str(error), retry=True)
            case FileNotFoundError():
                pass  # removed or moved in the meantime
            case DeedboxError() | OSError():
                reason = str(error) if isinstance(error, DeedboxError) else error.strerror or str(error)
                self._record.failed(name, one.stamp, reason, now, lasting=True)
                report = self._report.held if isinstance(error, ArchiveLost) else self._report.refused
                report(self.name, name, reason)
                self._note(result, name, reason, retry=False)
            case _:
                raise error

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
        if self._fault is None:
            if self.backoff.failures:
                self._report.works(self.name)
            self.backoff.succeeded()
            self.progress.reason = ""
            return
        result.down = self.progress.reason = str(self._fault)
        result.retry |= self._fault.passing
        self._report.down(self.name, result.down, self.backoff.failed(self._clock()))


def _outcome_of(work: Callable[[LocalFile], Shipped | None], file: LocalFile) -> Outcome:
    """What the work gives for a file, or its exception."""
    try:
        if not is_shippable_name(file.name):
            raise Refused(f"{file.path}: its name is not UTF-8", "rename it")
        return work(file)
    except Exception as error:  # noqa: BLE001 -- the outcome of the file; `_fail` raises it if it is a defect
        return error
