"""Make digests: list the sealed archives that no digest lists yet, and the archives that policy is about to remove.

Invariants: when a function returns, its digests are durable. One process at a time appends to the chain of an instance: it holds the lock
file of the chain, and reads the chain again under the lock. Archives are hashed before, so that the lock is held for moments only. A crash
at any step leaves a whole chain; what it did not list, the next digest lists.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from msgspec import UNSET

from codec.digest import LOCAL, Digest, DigestKind, ListedArchive, RetiredArchive, StoredDigest, encode_digest
from codec.errors import CodecError
from codec.limits import DIGEST_ENTRIES_MAX
from consumer.archive import naming
from consumer.archive.digests import files
from consumer.archive.digests.facts import is_unchanged, listed_archive
from consumer.archive.digests.history import History, listed_again
from consumer.archive.digests.removing import is_being_removed
from consumer.archive.digests.restore import catch_up, history_of
from consumer.archive.digests.signing import SigningKey
from consumer.archive.listing import find_archives, id_of
from consumer.archive.location import Location
from consumer.archive.reading.reader import ArchiveFile
from consumer.disk.durable import Disk, held, is_held
from consumer.errors import DeedboxError

LOCK_S_MAX = 10.0  # seconds; the lock is held for moments
LOCK_RETRY_S = 0.05


class DigestsHeld(DeedboxError):
    """Another process appends to the chain of the instance."""


@dataclass(frozen=True, slots=True)
class Retirement:
    """An archive that policy is about to remove from the place `where`: `codec.digest.LOCAL`, or the URL of a destination.

    `path`: below the archive directory, with `/`. `kept`: the other places at which the archive was verified just before.
    """

    archive: naming.ArchiveId
    path: str
    sha256: str
    where: str
    kept: tuple[str, ...] = ()
    reason: str = ""


def make_due(
    disk: Disk, directory: Path, now_us: int, interval_us: int, key: SigningKey | None = None, destinations: Sequence[Location] = (),
) -> list[Path]:  # fmt: skip
    """Make the digests that are due, for each instance of the directory. Returns their paths. `destinations`: as in `history_of`.

    The first digest of an instance is due at once, the next one when the interval has passed. After a pause one digest covers all of it. An
    instance that does not run gets one empty digest, and the next one when it has a new archive. An instance whose chain another process
    extends at this moment is left to that process. Raises DeedboxError and OSError; then the other instances have their digests.
    """
    sealed = sealed_archives(directory)
    running = {path.stem for path in directory.glob("*.ledger") if naming.is_instance(path.stem)}
    made: list[Path] = []
    errors: list[Exception] = []
    for instance in sorted({*sealed, *running, *files.instances(directory)}):
        chain = ChainWriter(disk, directory, instance, sealed.get(instance, {}), now_us, interval_us, key, destinations)
        try:
            made += chain.append_due()
        except DigestsHeld:
            continue
        except (DeedboxError, OSError) as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return made


def retire(
    disk: Disk, directory: Path, entries: Sequence[Retirement], now_us: int, interval_us: int, key: SigningKey | None = None,
    destinations: Sequence[Location] = (),
) -> list[Path]:  # fmt: skip
    """Record durably that archives are about to be removed, each at a place. Returns the digests that were made.

    Hold a lock of `removing` from before the call until the archives are removed. An entry that a digest holds is left out, unless a later
    digest lists the archive again. Raises DigestsHeld, DeedboxError and OSError.
    """
    sealed = sealed_archives(directory)
    made = []
    for instance in sorted({one.archive.instance for one in entries}):
        chain = ChainWriter(disk, directory, instance, sealed.get(instance, {}), now_us, interval_us, key, destinations)
        made += chain.append_retired([one for one in entries if one.archive.instance == instance])
    return made


def sealed_archives(directory: Path) -> dict[str, dict[int, Path]]:
    """The sealed archives of a directory by instance and sequence. Of several files with one id, the first one is used.

    Raises DeedboxError if a part of the directory cannot be read.
    """
    found: dict[str, dict[int, Path]] = {}
    for path in find_archives([directory]):
        if id_of(path) is None:
            what = f"{path}: cannot be read, so that no digest can say what is in it"
            raise DeedboxError(what, "make the directory readable, and remove links that lead nowhere")
        if archive := naming.parse_sealed(path):
            found.setdefault(archive.instance, {}).setdefault(archive.sequence, path)
    return found


@dataclass
class ChainWriter:
    """The chain of one instance, and the digest that is being made. `sealed`: the archives of the instance in the directory, by sequence."""

    disk: Disk
    directory: Path
    instance: str
    sealed: Mapping[int, Path]
    now_us: int
    interval_us: int
    key: SigningKey | None
    destinations: Sequence[Location]

    def append_due(self) -> list[Path]:
        """Append the digests that are due. Raises DeedboxError and OSError."""
        if not self._has_passed(files.newest(self.directory, self.instance)):
            return []
        history = history_of(self.disk, self.directory, self.instance, self.destinations)
        found, faults = self._unlisted(history)
        made = []
        if found or not self._is_silent(history):
            catch_up(self.disk, self.directory, self.instance, self.destinations)
            with self._held(wait=False):
                history = History.read(self.directory, self.instance)
                if self._has_passed(history.last):
                    made = self._append(history, DigestKind.INTERVAL, found, ())
        if faults:
            raise faults[0]
        return made

    def append_retired(self, entries: Sequence[Retirement]) -> list[Path]:
        """Append the digests with these entries. Raises DeedboxError and OSError."""
        before = history_of(self.disk, self.directory, self.instance, self.destinations)
        found, _ = self._unlisted(before, retired=False)
        catch_up(self.disk, self.directory, self.instance, self.destinations)
        with self._held(wait=True):
            history = History.read(self.directory, self.instance)
            fresh = {(one.archive.sequence, one.where): one for one in entries}
            rows = [
                self._row(one)
                for one in fresh.values()
                if one.where not in history.retired.get(one.archive.sequence, ())
            ]
            return self._append(history, DigestKind.RETIREMENT, found, rows) if rows else []

    def append_again(self, places: Set[tuple[int, str]]) -> list[Path]:
        """Append a digest that lists archives again, see `listed_again`. None if there is nothing to list. Raises DeedboxError and OSError."""
        with self._held(wait=True):
            archives, rows = listed_again(self.directory, self.instance, places)
            history = History.read(self.directory, self.instance)
            return [self._write(self._next(history, DigestKind.RETIREMENT, archives, rows))] if archives else []

    def _row(self, one: Retirement) -> RetiredArchive:
        return RetiredArchive(
            path=one.path,
            sequence=one.archive.sequence,
            sha256=one.sha256,
            where=one.where,
            kept=one.kept,
            reason=one.reason,
            time_us=self.now_us,
        )

    def _has_passed(self, last: StoredDigest | None) -> bool:
        """Whether the interval has passed. If the clock went back, the next digest is made at once, with an empty span."""
        if last is None:
            return True
        since_us = self.now_us - last.digest.made_us
        return since_us >= self.interval_us or since_us < 0

    def _is_silent(self, history: History) -> bool:
        """Whether an empty digest would prove nothing new: the instance does not run, and its last digest is empty, and signed if there is a key."""
        if history.last is None or (self.key and not history.last.signature):
            return False
        lock = naming.lock_path(self.directory, self.instance)
        return not history.last.digest.archives and not (lock.exists() and is_held(lock))

    def _unlisted(self, history: History, retired: bool = True) -> tuple[list[ListedArchive], list[OSError]]:
        """The archives that are not listed, or were rewritten since; if `retired`, also those that are there although they are retired. And
        the errors of those that cannot be read."""
        found: list[ListedArchive] = []
        faults: list[OSError] = []
        for sequence, path in sorted(self.sealed.items()):
            try:
                if self._is_listed(history, sequence, path, retired):
                    continue
                with ArchiveFile(path) as archive:
                    found.append(listed_archive(archive, _below(self.directory, path), sequence))
            except FileNotFoundError:
                continue  # removed since it was listed by its name
            except OSError as error:
                faults.append(error)
        return found, faults

    def _is_listed(self, history: History, sequence: int, path: Path, retired: bool) -> bool:
        """Whether the archive at a path needs no new entry."""
        if LOCAL in history.retired.get(sequence, ()):
            return not retired or is_being_removed(self.directory, path, naming.ArchiveId(self.instance, sequence))
        return is_unchanged(history.listed.get(sequence), path)

    def _is_new(self, history: History, one: ListedArchive) -> bool:
        """Whether an archive is to be listed, by the digests that exist now. If it is retired, it must be there, and nobody may remove it."""
        if LOCAL in history.retired.get(one.sequence, ()):
            path = self.sealed[one.sequence]
            archive = naming.ArchiveId(self.instance, one.sequence)
            return not is_being_removed(self.directory, path, archive) and path.exists()
        return history.listed.get(one.sequence) != (one.size, one.original)

    def _append(
        self, history: History, kind: DigestKind, archives: Sequence[ListedArchive], rows: Sequence[RetiredArchive]
    ) -> list[Path]:
        """Append digests, at least one. Entries that another process has listed meanwhile are left out, and archives that go now."""
        fresh = [one for one in archives if self._is_new(history, one)]
        made: list[Path] = []
        while not made or fresh or rows:
            taken, fresh = fresh[:DIGEST_ENTRIES_MAX], fresh[DIGEST_ENTRIES_MAX:]
            # Nothing is listed after it was recorded as retired: that would say that it is there.
            gone, rows = ((), rows) if fresh else (rows[:DIGEST_ENTRIES_MAX], rows[DIGEST_ENTRIES_MAX:])
            stored = self._next(history, kind, tuple(taken), tuple(gone))
            made.append(self._write(stored))
            history.add(stored)
        return made

    def _next(
        self, history: History, kind: DigestKind, archives: tuple[ListedArchive, ...], rows: tuple[RetiredArchive, ...]
    ) -> StoredDigest:
        last = history.last
        arrivals = [one.first_arrived_us for one in archives if one.first_arrived_us is not None]
        from_us = last.digest.until_us if last else min([self.now_us, *arrivals])
        digest = Digest(
            instance=self.instance,
            number=last.digest.number + 1 if last else 1,
            previous=last.sha256 if last else None,
            from_us=from_us,
            until_us=max(self.now_us, from_us),
            kind=kind,
            interval_us=self.interval_us,
            archives=archives,
            retired=rows,
            clock_us=UNSET if self.now_us >= from_us else self.now_us,
        )
        try:
            line = encode_digest(digest)
        except CodecError as error:  # a path of thousands of characters
            what = f"{files.folder(self.directory, self.instance)}: the next digest cannot be written: {error.reason}"
            raise DeedboxError(what, "give the archives shorter paths") from error
        return StoredDigest(digest, line, self.key.sign(line) if self.key else None)

    def _write(self, stored: StoredDigest) -> Path:
        path = files.folder(self.directory, self.instance) / files.digest_name(stored.digest.number)
        self.disk.replace(path, stored.raw)
        return path

    @contextmanager
    def _held(self, wait: bool) -> Iterator[None]:
        """Hold the lock of the chain. Raises DigestsHeld if another process has it, after LOCK_S_MAX if `wait`."""
        place = files.folder(self.directory, self.instance)
        self.disk.make_directory(place.absolute())
        pause, deadline = threading.Event(), time.monotonic() + (LOCK_S_MAX if wait else 0)
        while True:
            with held(self.disk, place / files.LOCK) as free:
                if free:
                    # A process that was killed may have left names that are not durable. They count as recorded from here on.
                    for path in (place, place.parent, self.directory):
                        self.disk.sync_directory(path)
                    yield
                    return
            if time.monotonic() >= deadline:
                what = f"{place}: another process appends a digest"
                raise DigestsHeld(what, "try again; if it lasts, end the other `deedbox ship` of this directory")
            pause.wait(LOCK_RETRY_S)


def _below(directory: Path, path: Path) -> str:
    """The path below the directory. Bytes that are not UTF-8 are written as escapes: the sequence identifies the archive."""
    return path.relative_to(directory).as_posix().encode("utf-8", "backslashreplace").decode()
