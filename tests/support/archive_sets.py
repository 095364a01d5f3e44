"""A random directory of archives, with a list of its events: the reference of the differential test."""

from pathlib import Path
from random import Random
from typing import NamedTuple

from codec.event import TIME_US_MAX, TIME_US_MIN, Event
from consumer.archive.layout import Layout
from consumer.archive.listing import find_archives
from consumer.archive.naming import ArchiveId, parse_sealed
from consumer.archive.reading.reader import open_archive
from consumer.archive.reading.tombstones import add_tombstones
from consumer.archive.rewriting.compact import compact
from consumer.archive.writing.archive_log import ArchiveLog
from consumer.archive.writing.recovery import recover
from consumer.disk.durable import Disk
from tests.support.archive_logs import START_US, archive_log
from tests.support.rewriting import rewrite
from tests.support.rolling import Unsynced

IDS = (
    "",
    "a|b%c",
    "new\nline",
    "nul\0",
    "\udced\udca0\udc80",
    "é" * 120,
    "x" * 255,
    "😀",
    "*",
    "id-1",
    "id-2",
    "\\udcff",
)
TYPES = ("", "a.b", "a.c", "b", "bad\udcff", "t" * 300, "[x]", "é", "bad\\xff")
TAGS = ("one", "two", "", "é|", "\udcff")
TIMES = (0, -1, TIME_US_MIN, TIME_US_MAX, START_US)
INSTANCES = ("a", "b", "a-1", "c.d_e")


class Held(NamedTuple):
    """An event, and where it is: it sorts as a search with equal times does."""

    archive: ArchiveId
    number: int
    event: Event


class ArchiveSet:
    """Grows by `step`. `held`: the events that readers must show."""

    def __init__(self, directory: Path, random: Random) -> None:
        self.directory, self.random = directory, random
        self.held: list[Held] = []
        self._disk = Unsynced()
        self._shelves = {
            name: archive_log(directory, self._disk, name) for name in random.sample(INSTANCES, random.randrange(1, 4))
        }
        self._serial = 0

    def grow(self) -> None:
        """Some steps of all kinds."""
        for _ in range(self.random.randrange(1, 16)):
            self.step()

    def step(self) -> None:
        """What may happen to a directory of archives."""
        one = self.random.choice(list(self._shelves.values()))
        kinds = [self._append] * 6 + [self._roll] * 2 + [self._crash, self._delete, self._compact, self._repack]
        self.random.choice(kinds)(one)

    def move(self) -> None:
        """What may happen between the plan of a search and its reading, and changes no answer."""
        one = self.random.choice(list(self._shelves.values()))
        self.random.choice([self._roll, self._crash, self._compact, self._repack])(one)

    def close(self) -> None:
        """Give up the open archives."""
        for one in self._shelves.values():
            if one.writer is not None:
                one.writer.abandon()

    def _append(self, one: ArchiveLog) -> None:
        events = [self._event() for _ in range(self.random.randrange(1, 12))]
        first = one.writer.index.events if one.writer else 0
        archive = one.append(events).archive
        self.held += [Held(archive, number, event) for number, event in enumerate(events, first)]

    def _event(self) -> Event:
        random = self.random
        self._serial += 1
        near = START_US + random.randrange(100)
        body = random.choice(
            [b"", b"\0\xff", b'{"serial":%d,"deep":{"n":"%d"}}' % (self._serial, self._serial % 3), b"x" * 3000]
        )
        return Event(
            random.choice([*IDS, f"id-{self._serial}"]), random.choice(TYPES), random.choice([*TIMES, near, near, near, near]),
            random.choice([START_US + self._serial, near]), random.choice(["", "ex", "e\udcff"]), random.choice(["", "k.a", "k.b"]),
            b"\0\0", body, random.random() < 0.2, random.choice(["", "", "a-00000001:4"]),
            tuple(random.sample(TAGS, random.randrange(3))),
        )  # fmt: skip

    def _roll(self, one: ArchiveLog) -> None:
        one.roll("test")

    def _crash(self, one: ArchiveLog) -> None:
        """The instance is killed, perhaps in the middle of a write; another process recovers the archive."""
        if one.writer is None:
            return
        path, one.writer = one.writer.path, self._given_up(one)
        if self.random.random() < 0.5:
            raw = path.read_bytes()
            with path.open("ab") as file:
                file.write(raw[-self.random.randrange(1, 90) :][:50] if self.random.random() < 0.3 else bytes(40))
        recover(Disk(), Layout(self.directory), path)

    def _given_up(self, one: ArchiveLog) -> None:
        assert one.writer is not None
        one.writer.abandon()

    def _delete(self, _: ArchiveLog) -> None:
        gone = self.random.sample(self.held, min(len(self.held), self.random.randrange(1, 4)))
        for held in gone:
            (path,) = (path for path in find_archives([self.directory]) if f"{held.archive}.kvp" in path.name)
            with open_archive(path) as archive:
                add_tombstones(self._disk, archive, [held.number], held.event.id, "2026-11-21T16:15:00.000000Z")
            self.held.remove(held)

    def _compact(self, _: ArchiveLog) -> None:
        for done in compact(self._disk, [self.directory]):
            assert done.outcome in ("compacted", "open", "aside"), done

    def _repack(self, _: ArchiveLog) -> None:
        sealed = [path for path in find_archives([self.directory]) if parse_sealed(path)]
        for path in self.random.sample(sealed, min(1, len(sealed))):
            rewrite(path, self.random.choice([[1000], [1], [5, 2], [13]]))
