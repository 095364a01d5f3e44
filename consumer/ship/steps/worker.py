"""Take each sealed archive of a directory through the steps on seal, in their order.

Invariants: a step that fails changes nothing about the other steps, except that a step that takes the archive away waits for all
steps before it, and all steps after that one wait for it. One process at a time works on a directory. What was done is stored after each step.
A failure is tried again after RETRY_S seconds, then after twice that time, up to RETRY_S_MAX.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from consumer.archive import naming
from consumer.archive.listing import find_archives
from consumer.disk.durable import Disk
from consumer.errors import DeedboxError
from consumer.ship.defects import describe
from consumer.ship.steps import progress as records
from consumer.ship.steps.effects import DELETED, Effects, Waiting
from consumer.ship.steps.progress import Progress
from consumer.ship.steps.reports import Reports
from consumer.ship.steps.step import Step

RETRY_S = 1.0
RETRY_S_MAX = 300.0
WAIT_S, WAIT_S_MAX = 2.0, 60.0  # until a step that waits is looked at again, and after twice that time, and so on

Clock = Callable[[], float]


@dataclass
class _Retry:
    """When a step of an archive runs again. `pause_s`: after the next failure; `wait_s`: if it has to wait once more."""

    at: float = 0.0
    pause_s: float = RETRY_S
    wait_s: float = WAIT_S


@dataclass
class Worker:
    """The steps of one directory. `ready`: whether the service does not rewrite the archive at this path any more. `clock`: monotonic, in seconds."""

    disk: Disk
    directory: Path
    steps: Sequence[Step]
    effects: Effects
    ready: Callable[[Path], bool] = lambda _: True
    clock: Clock = time.monotonic
    reports: Reports = field(default_factory=Reports)
    _finished: set[naming.ArchiveId] = field(default_factory=set)
    _retries: dict[tuple[naming.ArchiveId, str], _Retry] = field(default_factory=dict)
    _lock: int | None = None

    def look(self) -> bool:
        """Run each step that can run now. Returns whether all steps of all archives are done. Raises OSError if the directory cannot be read."""
        if not self._own_directory():
            return False
        found = self._found()
        self.effects.newest = _newest(found)
        complete = True
        for archive, path in found:
            if self.effects.stopped.is_set():
                return False
            if archive not in self._finished:
                complete = self._attend(archive, path) and complete
        return complete

    def close(self) -> None:
        """Let another process work on the directory."""
        if self._lock is not None:
            self.disk.close(self._lock)
            self._lock = None

    def _own_directory(self) -> bool:
        """Whether this process works on the directory: another one may do so, and may end."""
        if self._lock is None:
            folder = self.directory / records.DIRECTORY
            self.disk.make_directory(folder)
            self._lock = self.disk.acquire(folder / records.LOCK)
        return self._lock is not None

    def _found(self) -> list[tuple[naming.ArchiveId, Path]]:
        """The sealed archives of the directory, and those that a step took away before the last step, oldest first."""
        here = {
            archive: path
            for path in find_archives([self.directory])
            if (archive := naming.parse_sealed(path)) and not path.is_symlink()
        }
        away = {archive: Path() for archive in records.noted(self.directory) if archive not in here}
        return sorted((here | away).items())

    def _attend(self, archive: naming.ArchiveId, path: Path) -> bool:
        """Run the steps of one archive that can run now. Returns whether all are done."""
        try:
            progress = records.load(self.directory, archive)
        except DeedboxError as error:
            self.reports.failed(archive, path, "all", str(error), RETRY_S_MAX)
            return False
        if progress is None:
            if not self.ready(path):
                return False
            progress = Progress(path=str(path), name=self._name(path))
        elif path != Path():  # a step that was interrupted begins again
            progress = Progress(path=str(path), name=self._name(path), done=progress.done)
        return self._advance(archive, progress)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.directory).as_posix()

    def _advance(self, archive: naming.ArchiveId, progress: Progress) -> bool:
        earlier_done = True
        for step in self.steps:
            if step.text in progress.done:
                continue
            after = self._try(step, archive, progress) if earlier_done or not step.takes_away else None
            if after is not None:
                progress = after
                continue
            earlier_done = False
            if step.takes_away:
                return False
        if earlier_done:
            self._finish(archive, progress)
        return earlier_done

    def _try(self, step: Step, archive: naming.ArchiveId, progress: Progress) -> Progress | None:
        """Run a step, and store that it is done. None if it is not done."""
        retry = self._retries.setdefault((archive, step.text), _Retry())
        if self.clock() < retry.at:
            return None
        try:
            after = self.effects.perform(step, archive, progress)
            if after.path != DELETED:
                records.store(self.disk, self.directory, archive, after)
        except Waiting as waiting:
            retry.at, retry.wait_s = self.clock() + retry.wait_s, min(2 * retry.wait_s, WAIT_S_MAX)
            self.reports.waits(archive, step.text, str(waiting))
            return None
        except Exception as error:  # noqa: BLE001 -- also a defect keeps the archive, and not the others from their steps
            self._note_failure(step, archive, progress, retry, error)
            return None
        del self._retries[archive, step.text]
        self.reports.done(archive, step.text, after.path)
        return after

    def _note_failure(
        self, step: Step, archive: naming.ArchiveId, progress: Progress, retry: _Retry, error: Exception
    ) -> None:
        retry.at = self.clock() + retry.pause_s
        report = self.reports.failed if isinstance(error, DeedboxError | OSError) else self.reports.defect
        report(archive, Path(progress.path), step.text, _reason(error, progress.path), retry.pause_s)
        retry.pause_s = min(2 * retry.pause_s, RETRY_S_MAX)

    def _finish(self, archive: naming.ArchiveId, progress: Progress) -> None:
        """Remember that nothing is left to do. What was noted about an archive that is gone is removed."""
        if self.directory in Path(progress.path).parents and naming.parse_sealed(Path(progress.path)):
            self._finished.add(archive)
        else:
            records.forget(self.disk, self.directory, archive)


def _reason(error: Exception, path: str) -> str:
    """Why a step failed."""
    if isinstance(error, DeedboxError):
        return str(error)
    return f"{error.filename or path}: {error.strerror}" if isinstance(error, OSError) else describe(error)


def _newest(found: Sequence[tuple[naming.ArchiveId, Path]]) -> dict[str, int]:
    """The highest sequence of each instance among the archives of the directory."""
    return {archive.instance: archive.sequence for archive, path in found if path != Path()}
