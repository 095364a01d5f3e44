"""The effect of each step on seal. Every effect can be repeated after a crash at any point.

Invariants: an archive is taken away only if no hold is on it, every registered follower has passed it, and it is not the newest one of its
instance. That it goes, and where, is durable in the chain of digests before it goes. Before a step takes it from its name, and again
before it is deleted, every destination has it: shipping does not find it any more afterwards.
"""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from consumer.archive import naming
from consumer.archive.writing.sealing import digest
from consumer.disk.durable import Disk, is_held
from consumer.errors import DeedboxError
from consumer.ship.retention.floor import local_hold, waiting_followers
from consumer.ship.side_files import remove_side_files
from consumer.ship.steps import placing
from consumer.ship.steps.facts import facts_of
from consumer.ship.steps.program import run_program
from consumer.ship.steps.progress import Progress, store
from consumer.ship.steps.step import Step, StepKind

DELETED = "deleted"  # the value of `Progress.leaving` for a step that deletes
_REWRITING = ".compacting"


class Waiting(Exception):
    """A step cannot run yet. This is no failure. The text is the reason."""


@dataclass(frozen=True, slots=True)
class Departure:
    """An archive that leaves the archive directory. `path`: where it is; `target`: its new path, or DELETED; `reason`: for the digests."""

    archive: naming.ArchiveId
    path: Path
    sha256: str
    target: str
    reason: str


@dataclass
class Effects:
    """The effects on the archives of one directory.

    `shipped`: whether every destination has the archive that is at a path, under this name below the destination, verified now; None if
    there is no destination. `retire`: record departures in the chain of digests. `newest`: the newest sealed archive of each instance.
    `environ`: for programs, with a time limit of `timeout_s` seconds. `stopped`: ends a program that runs.
    """

    disk: Disk
    directory: Path
    shipped: Callable[[Path, str], bool] | None
    retire: Callable[[Sequence[Departure]], None]
    environ: Mapping[str, str]
    timeout_s: float
    newest: dict[str, int] = field(default_factory=dict)
    stopped: threading.Event = field(default_factory=threading.Event)

    def perform(self, step: Step, archive: naming.ArchiveId, progress: Progress) -> Progress:
        """Do a step, and return the progress after it, which is not stored. Raises Waiting, DeedboxError and OSError."""
        if step.takes_away:
            progress = self._take_away(step, archive, progress)
        else:
            self._use(step, archive, progress)
        return progress.with_done(step.text)

    def _use(self, step: Step, archive: naming.ArchiveId, progress: Progress) -> None:
        path = Path(progress.path)
        if step.kind is StepKind.SHIP:
            self._check_shipped(progress)
        elif step.kind is StepKind.LINK:
            placing.link(self.disk, self.directory, path, archive, Path(step.argument))
        else:
            environ = {**self.environ, **facts_of(path)}
            run_program(step.command, environ, self.timeout_s, self.stopped)

    def _check_shipped(self, progress: Progress) -> None:
        path = Path(progress.path)
        if self.shipped is None:
            return
        name = path.relative_to(self.directory).as_posix() if self._is_listed(path) else progress.name
        if not name:
            raise DeedboxError(f"{path}: its name before it was moved is not known", "compare it with the destination")
        if not self.shipped(path, name):
            raise Waiting("not every destination has it")

    def _is_listed(self, path: Path) -> bool:
        """Whether readers of the directory, and shipping, find the archive."""
        return self.directory in path.parents and naming.parse_sealed(path) is not None

    def _take_away(self, step: Step, archive: naming.ArchiveId, progress: Progress) -> Progress:
        path = Path(progress.path)
        target = progress.leaving or self._target(step, path)
        listed = self._is_listed(path)
        with placing.deletions_locked(self.disk, path, archive):
            if os.path.lexists(path):
                progress = self._prepare(step, archive, progress, target, listed)
            self._go(path, target, progress.sha256)
        if step.kind is not StepKind.SUFFIX:  # a renamed archive still needs them
            remove_side_files(self.disk, self.directory, path, archive)
        return Progress(path=target, name=progress.name, done=progress.done)

    def _prepare(
        self, step: Step, archive: naming.ArchiveId, progress: Progress, target: str, listed: bool
    ) -> Progress:
        """Check that the archive may go, and note that it goes: here, and in the chain of digests. `listed`: readers of the directory find it."""
        path = Path(progress.path)
        self._check_floor(path, archive, listed)
        if target == DELETED or listed:
            self._check_shipped(progress)
        progress = msgspec.structs.replace(progress, leaving=target, sha256=digest(path))
        store(self.disk, self.directory, archive, progress)
        if step.kind is StepKind.MOVE:
            placing.copy_side_files(self.disk, self.directory, path, archive, self._made(Path(target).parent))
        if listed:
            self.retire([Departure(archive, path, progress.sha256, target, _reason(step, target))])
        return progress

    def _made(self, directory: Path) -> Path:
        self.disk.make_directory(directory)
        return directory

    def _check_floor(self, path: Path, archive: naming.ArchiveId, listed: bool) -> None:
        if hold := local_hold(self.directory, path):
            raise Waiting(f"{hold} holds it")
        rewriting = path.with_name(path.name + _REWRITING)
        with suppress(FileNotFoundError):
            if is_held(rewriting):
                raise Waiting("another process rewrites it")
        if not listed:
            return
        if archive.sequence >= self.newest.get(archive.instance, 0):
            raise Waiting("it is the newest sealed archive of its instance: redelivered messages are compared with it")
        for reason in waiting_followers(path, archive):
            raise Waiting(reason)

    def _target(self, step: Step, path: Path) -> str:
        if step.kind is StepKind.DELETE:
            return DELETED
        if step.kind is StepKind.MOVE:
            return str(Path(step.argument) / path.name)
        return str(path.with_name(path.name + step.argument))

    def _go(self, path: Path, target: str, sha256: str) -> None:
        if target != DELETED:
            placing.move(self.disk, path, Path(target), sha256)
        elif os.path.lexists(path):
            self.disk.remove(path)


def _reason(step: Step, target: str) -> str:
    if step.kind is StepKind.DELETE:
        return "deleted by a step on seal"
    return f"{'moved' if step.kind is StepKind.MOVE else 'renamed'} to {target}"
