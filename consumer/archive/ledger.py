"""The ledger: the state that an instance keeps from one run to the next: its last sequence, its last archives, and how it ended.

Invariants: a sequence is never used twice, even after archives were shipped and deleted. The newest archive with
a committed batch is named before that batch is acknowledged, if the disk allows. The ledger is one small file that is replaced
durably. If it is lost, most of it is restored from the directory and the watermark.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import msgspec
import orjson

from codec.archive import Previous
from consumer.archive import naming
from consumer.archive.watermark import read_watermark
from consumer.disk.durable import Disk, read_regular
from consumer.errors import Exit, Fatal

UNSEALED_MAX = 1000
ABANDONED_MAX = 100
LEDGER_BYTES_MAX = 64 * 1024  # Deedbox writes no longer one


Archives = dict[str, list[tuple[naming.ArchiveId, Path]]]
Sequence = Annotated[int, msgspec.Meta(ge=0, le=naming.SEQUENCE_MAX)]


@dataclass(frozen=True, slots=True)
class State:
    """The content of the ledger. `unclean`: how many runs in a row ended without a clean stop and without a commit.

    `committed`: the sequence of the newest archive that holds a committed batch; 0 if there was none yet.
    `unsettled`: an acknowledgement of an earlier run may not have reached the broker, which then delivers the message again.
    `unsealed`: sequences of archives with a committed batch that are not known as sealed; the newest UNSEALED_MAX of them.
    `begins`: the places (sequence, event) at which generations of the consumer began, as far as events before them may be delivered again.
    `abandoned`: archives whose writer failed, with the number of their committed events (sequence, events), until they are
    sealed; the newest ABANDONED_MAX of them.
    """

    sequence: Sequence = 0
    previous: Previous | None = None
    running: bool = False
    unclean: int = 0
    committed: Sequence = 0
    unsettled: bool = False
    unsealed: tuple[Sequence, ...] = ()
    begins: tuple[tuple[Sequence, Sequence], ...] = ()
    abandoned: tuple[tuple[Sequence, Sequence], ...] = ()

    def committed_events(self, sequence: int) -> int:
        """How many events of an abandoned archive were committed; 0 for any other archive."""
        return dict(self.abandoned).get(sequence, 0)


class Ledger:
    """The ledger of one instance in one directory. The caller holds the lock of the instance. `below`: the result of `archives_below`."""

    def __init__(self, disk: Disk, directory: Path, instance: str, below: Archives | None = None) -> None:
        self._disk = disk
        self._directory = directory
        self._instance = instance
        self._below = below
        self.path = directory / f"{instance}.ledger"
        self.unwritten = False
        self.not_noted: list[tuple[naming.ArchiveId, Path]] = []
        found = read(self.path)
        self.lost = found is None  # there was no ledger, or it could not be read
        self.state = self._load(found or State())

    def update(self, **changes: object) -> None:
        """Change the state and write it. Raises OSError; then the change is in memory only, and `unwritten` is True."""
        self.state = replace(self.state, **changes)  # type: ignore[arg-type]  # the fields are checked where they are named
        self.unwritten = True
        self._disk.replace(self.path, orjson.dumps(self.state, option=orjson.OPT_APPEND_NEWLINE))
        self.unwritten = False

    def note_committed(self, sequence: int) -> None:
        """Note that an archive holds its first committed batch. Raises OSError, as `update` does."""
        unsealed = sorted({*self.state.unsealed, sequence})[-UNSEALED_MAX:]
        self.update(committed=max(self.state.committed, sequence), unclean=0, unsealed=tuple(unsealed))

    def note_sealed(self, archive: naming.ArchiveId, name: str, sha256: str, events: int) -> None:
        """Note that an archive is sealed, so that the head of the next one names it. Raises OSError, as `update` does."""
        last = naming.parse_sealed(Path(self.state.previous.archive)) if self.state.previous else None
        newest = last is None or archive.sequence >= last.sequence
        previous = Previous(name, sha256, events) if newest else self.state.previous
        sequence, committed = (max(known, archive.sequence) for known in (self.state.sequence, self.state.committed))
        unsealed = tuple(one for one in self.state.unsealed if one != archive.sequence)
        abandoned = tuple(one for one in self.state.abandoned if one[0] != archive.sequence)
        self.update(
            sequence=sequence, previous=previous, committed=committed, unsealed=unsealed, abandoned=abandoned
        )  # fmt: skip

    def note_abandoned(self, sequence: int, events: int) -> None:
        """Note that an archive with this number of committed events waits for recovery. Raises OSError, as `update` does."""
        abandoned = dict(self.state.abandoned) | {sequence: events}
        self.update(abandoned=tuple(sorted(abandoned.items()))[-ABANDONED_MAX:])

    def next_sequence(self) -> int:
        """Use the next sequence. It is not written to the ledger: later runs see it by its archive. Raises Fatal if no sequence is left."""
        self.check_sequence()
        self.state = replace(self.state, sequence=self.state.sequence + 1)
        return self.state.sequence

    def check_sequence(self) -> None:
        """Raise Fatal if no sequence is left: readers would not find an archive with a longer number."""
        if self.state.sequence >= naming.SEQUENCE_MAX:
            what = f"archive directory {self._directory}: a file has the last sequence that instance {self._instance!r} can have"
            do = f"move away the *{self._instance}-*.kvp.zst* with the largest number: Deedbox did not make it"
            raise Fatal(Exit.DIRECTORY, what, do)

    def _load(self, state: State) -> State:
        """The state of the ledger, completed from the directory and the watermark."""
        found = self._archives()
        sealed = [(archive, path) for archive, path in found if naming.parse_sealed(path) and _is_text(path.name)]
        self.not_noted = _not_noted(state, sealed)
        mark = read_watermark(self._directory, self._instance)
        committed = max([state.committed, mark.sequence if mark else 0, *(archive.sequence for archive, _ in sealed)])
        sequence = max([state.sequence, committed, *(archive.sequence for archive, _ in found)])
        known = {archive.sequence for archive, _ in sealed}
        unsealed = tuple(one for one in state.unsealed if one not in known)
        # The directory has archives of a run that the ledger does not know: it is unknown how that run ended.
        unsettled = state.unsettled or sequence > state.sequence
        return replace(state, sequence=sequence, committed=committed, unsealed=unsealed, unsettled=unsettled)

    def _archives(self) -> list[tuple[naming.ArchiveId, Path]]:
        """All archives of the instance in the directory, oldest first."""
        below = archives_below(self._directory) if self._below is None else self._below
        return below.get(self._instance, [])


def archives_below(directory: Path) -> Archives:
    """All archives of a directory by instance, oldest first. The walk is slow; its result serves the ledgers of all instances."""
    found: Archives = {}
    for path in directory.rglob("*.kvp.zst*"):
        if archive := naming.parse_sealed(path) or naming.parse_open(path):
            found.setdefault(archive.instance, []).append((archive, path))
    return {instance: sorted(archives) for instance, archives in found.items()}


def _not_noted(state: State, sealed: list[tuple[naming.ArchiveId, Path]]) -> list[tuple[naming.ArchiveId, Path]]:
    """Sealed archives that are newer than the last one in the ledger: a run ended after it had sealed them and before it noted them."""
    last = naming.parse_sealed(Path(state.previous.archive)) if state.previous else None
    return sealed[-1:] if last is None else [one for one in sealed if one[0].sequence > last.sequence]


def _is_text(name: str) -> bool:
    """Whether a name is UTF-8, so that a ledger and a head can hold it."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def read(path: Path) -> State | None:
    """The state in a ledger; None if there is no ledger, or if it cannot be read."""
    try:
        return msgspec.json.decode(read_regular(path, LEDGER_BYTES_MAX), type=State)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None  # the service starts without it: the directory shows the sequences
