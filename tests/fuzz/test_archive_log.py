"""The archive log against a model: any order of appends, rolls, errors of the disk, kills, power cuts, deletions and rewritings.

After each step, readers show every acknowledged event once, at its position, and nothing that was deleted; `verify` finds no fault
but the damage that the test did. `--machines N` sets the number of sequences of steps; sequences after the default number are random.
"""

import errno
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from consumer.archive.checking.verify import verify
from consumer.archive.listing import find_archives
from consumer.archive.naming import parse_sealed
from consumer.archive.reading.duplicates import DuplicateMode
from consumer.archive.reading.reader import open_archive
from consumer.archive.reading.tombstones import add_tombstones, is_removed, remove_tombstones
from consumer.archive.rewriting.compact import compact
from consumer.archive.rewriting.repack import repack
from consumer.archive.rewriting.repair import NOTHING_LEFT, repair_sealed
from consumer.errors import DeedboxError
from consumer.query.query import make_query
from consumer.query.search import Search
from tests.support import archives
from tests.support.archive_logs import some
from tests.support.disk import Durable, PowerCut, ShadowDisk, Unsynced
from tests.support.instance import Instance
from tests.support.model import Model, place

NAMES = ("one", "two")
WRITES = ("create", "append", "replace", "make_directory")
ALL = (*WRITES, "sync", "sync_directory", "overwrite", "truncate", "rename", "replace_keeping", "remove")
WHEN = "2026-11-21T16:15:00.000000Z"


class Trouble(NamedTuple):
    """The effect of a call of the disk: an error, once or from then on, or the end of the process or of the machine."""

    call: int
    error: int = 0
    lasting: tuple[str, ...] = ()
    unsynced: Unsynced | None = None  # a power cut, which does this with the bytes that were not synced

    @property
    def leaves_copies(self) -> bool:
        """Whether the current batch may be found later. After a single error, the disk still works, and recovery cuts the batch off."""
        return not self.error or bool(self.lasting)


KINDS: list[dict[str, Any]] = [
    {"error": errno.EIO},
    {"error": errno.ENOSPC},
    {"error": errno.EIO, "lasting": ALL},
    {"error": errno.ENOSPC, "lasting": WRITES},
    {},
    {"unsynced": "lost"},
    {"unsynced": "torn"},
    {"unsynced": "kept"},
]


def _trouble(last: int) -> st.SearchStrategy[Trouble | None]:
    """No trouble, or one at any of the first `last` calls of a step."""
    some_trouble = st.builds(lambda call, kind: Trouble(call, **kind), st.integers(1, last), st.sampled_from(KINDS))
    return st.none() | some_trouble


class ArchiveLogMachine(RuleBasedStateMachine):
    """Two instances and an operator on one machine."""

    def __init__(self) -> None:
        super().__init__()
        self._temporary = tempfile.TemporaryDirectory()
        self._boots = 0
        self._serial = 0
        self.model = Model()
        self.running: dict[str, Instance] = {}
        self._damaged: set[str] = set()  # archives by name, until they are repaired
        self._ever_damaged: set[str] = set()
        self._boot(None)

    def teardown(self) -> None:
        for instance in self.running.values():
            instance.kill()
        self.durable.close()
        self._temporary.cleanup()

    # --- the machine ---

    def _boot(self, unsynced: Unsynced | None) -> None:
        """A new machine, or the same one after a power cut."""
        for instance in self.running.values():
            instance.kill()
        self.running.clear()
        self._boots += 1
        directory = Path(self._temporary.name) / str(self._boots)
        directory.mkdir()
        if unsynced is not None:
            self.durable.after_power_cut(directory, unsynced)
            self.durable.close()
        self.durable = Durable.of(directory)
        self.directory = directory

    @contextmanager
    def _attempt(self, disk: ShadowDisk, trouble: Trouble | None) -> Iterator[list[str]]:
        """One step of a process while the disk fails. Returns a list that is empty if the step ended as it should."""
        failed: list[str] = []
        if trouble:
            disk.fail_at = len(disk.calls) + trouble.call
            disk.error, disk.lasting, disk.crash = trouble.error, trouble.lasting, not trouble.error
        try:
            yield failed
        except (OSError, DeedboxError) as error:
            if not 0 < disk.fail_at <= len(disk.calls):
                raise
            failed.append(repr(error))
        except PowerCut:
            failed.append("crash")
        disk.fail_at, disk.lasting, disk.crash = 0, (), False
        if "crash" not in failed:
            return
        disk.end_process()
        assert trouble is not None
        for name, instance in list(self.running.items()):
            if instance.disk is disk:
                del self.running[name]
        if trouble.unsynced is not None:
            self._boot(trouble.unsynced)

    def _operate(self, trouble: Trouble | None, step: Callable[[ShadowDisk], None]) -> bool:
        """A command while the service runs. Returns whether it ended."""
        disk = ShadowDisk(self.directory, durable=self.durable)
        with self._attempt(disk, trouble) as failed:
            step(disk)
        disk.end_process()
        return not failed

    # --- the service ---

    @rule(name=st.sampled_from(NAMES), events_max=st.sampled_from([3, 8, 100]), trouble=_trouble(14))
    def start(self, name: str, events_max: int, trouble: Trouble | None) -> None:
        if name in self.running:
            return
        instance = Instance(name, self.durable, events_max)
        self.running[name] = instance
        with self._attempt(instance.disk, trouble) as failed:
            instance.start()
        if failed and name in self.running:
            instance.kill()
            self.running.pop(name)

    def _any(self, data: st.DataObject) -> Instance:
        return self.running[data.draw(st.sampled_from(sorted(self.running)), "instance")]

    @precondition(lambda self: self.running)
    @rule(data=st.data(), count=st.integers(1, 4), trouble=_trouble(12))
    def append(self, data: st.DataObject, count: int, trouble: Trouble | None) -> None:
        instance = self._any(data)
        events = some(self._serial, count)
        self._serial += count
        with self._attempt(instance.disk, trouble):
            if trouble and trouble.leaves_copies:
                self.model.attempt(events)
            receipt = instance.log.append(events)
            assert instance.log.writer is not None
            self.model.acknowledge(receipt.archive, instance.log.writer.fill.events - count, events)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def append_much(self, data: st.DataObject) -> None:
        for _ in range(3):
            self.append(data, 2, None)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), trouble=_trouble(10))
    def roll(self, data: st.DataObject, trouble: Trouble | None) -> None:
        instance = self._any(data)
        with self._attempt(instance.disk, trouble):
            instance.log.roll("test")

    @precondition(lambda self: self.running)
    @rule(data=st.data(), trouble=_trouble(10))
    def probe(self, data: st.DataObject, trouble: Trouble | None) -> None:
        instance = self._any(data)
        with self._attempt(instance.disk, trouble):
            instance.log.probe()

    @precondition(lambda self: self.running)
    @rule(data=st.data(), trouble=_trouble(14))
    def recover_others(self, data: st.DataObject, trouble: Trouble | None) -> None:
        instance = self._any(data)
        with self._attempt(instance.disk, trouble):
            instance.lock.recover_others(instance.disk)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), trouble=_trouble(10))
    def stop(self, data: st.DataObject, trouble: Trouble | None) -> None:
        instance = self._any(data)
        with self._attempt(instance.disk, trouble):
            instance.stop()
        instance.kill()
        self.running.pop(instance.name, None)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def kill(self, data: st.DataObject) -> None:
        instance = self._any(data)
        instance.kill()
        del self.running[instance.name]

    @rule(unsynced=st.sampled_from(["lost", "torn", "kept"]))
    def cut_power(self, unsynced: Unsynced) -> None:
        self._boot(unsynced)

    # --- the operator ---

    def _path_of(self, position: str) -> Path:
        archive, _ = place(position)
        return next(path for path in find_archives([self.directory]) if f"{archive}.kvp" in path.name)

    @precondition(lambda self: self.model.acked)
    @rule(data=st.data(), trouble=_trouble(4))
    def delete(self, data: st.DataObject, trouble: Trouble | None) -> None:
        position = data.draw(st.sampled_from(sorted(self.model.acked)), "position")

        def step(disk: ShadowDisk) -> None:
            with open_archive(self._path_of(position)) as archive:
                assert add_tombstones(disk, archive, [place(position)[1]], "id", WHEN) == 1

        self.model.delete(position, self._operate(trouble, step))

    @precondition(lambda self: self.model.deleted.keys() - self.model.removed)
    @rule(data=st.data(), trouble=_trouble(4))
    def undelete(self, data: st.DataObject, trouble: Trouble | None) -> None:
        position = data.draw(st.sampled_from(sorted(self.model.deleted.keys() - self.model.removed)), "position")

        def step(disk: ShadowDisk) -> None:
            with open_archive(self._path_of(position)) as archive:
                assert remove_tombstones(disk, archive, lambda: [place(position)[1]]) == 1

        self.model.undelete(position, self._operate(trouble, step))

    @precondition(lambda self: self.model.deleted or self.model.unsure)
    @rule(trouble=_trouble(12))
    def compact(self, trouble: Trouble | None) -> None:
        compacted: set[Path] = set()

        def step(disk: ShadowDisk) -> None:
            for done in compact(disk, [self.directory]):
                expected = {"compacted", "open", "aside", *(["failed", "busy", "unreadable"] if trouble else [])}
                if self._ever_damaged or "its sealing did not end" in done.reason:
                    expected.add("damaged")
                assert done.outcome in expected, done
                if done.outcome == "compacted":
                    compacted.add(done.path)

        self._operate(trouble, step)
        self._note_removed(compacted)

    def _note_removed(self, compacted: set[Path]) -> None:
        """Removed events cannot return; deleted events of compacted archives must be removed."""
        for position in [*self.model.deleted, *self.model.unsure]:
            path = self._path_of(position)
            if str(place(position)[0]) in self._damaged:
                continue
            gone = is_removed(archives.event_at(path, place(position)[1]))
            if gone:
                self.model.removed.add(position)
            elif position in self.model.deleted and str(place(position)[0]) not in self._ever_damaged:
                assert path not in compacted, f"{position} was compacted and is there"

    @rule(trouble=_trouble(12))
    def repack(self, trouble: Trouble | None) -> None:
        def step(disk: ShadowDisk) -> None:
            for done in repack(disk, [self.directory]):
                expected = {"repacked", *(["unfit", "unreadable"] if trouble or self._ever_damaged else [])}
                assert done.outcome in expected or "its sealing did not end" in done.reason, done

        self._operate(trouble, step)

    def _sealed(self) -> list[Path]:
        return [path for path in find_archives([self.directory]) if parse_sealed(path)]

    @precondition(lambda self: len(self._sealed()) > 1 and len(self._ever_damaged) < 1)
    @rule(data=st.data())
    def damage(self, data: st.DataObject) -> None:
        """A bit of a sealed archive flips."""
        path = data.draw(st.sampled_from(self._sealed()), "archive")
        batches = list(archives.batches(path))
        batch = data.draw(st.sampled_from(batches), "batch")
        raw = bytearray(path.read_bytes())
        raw[batch.offset + batch.size - 1] ^= 1
        path.chmod(0o600)
        path.write_bytes(raw)
        self.durable.contents[path.stat().st_ino] = bytes(raw)
        id = parse_sealed(path)
        assert id is not None
        self.model.damage(id, batch.header.first_event, batch.header.events)
        self._damaged.add(str(id))
        self._ever_damaged.add(str(id))

    @precondition(lambda self: self._damaged)
    @rule(trouble=_trouble(8))
    def repair(self, trouble: Trouble | None) -> None:
        for path in self._sealed():
            id = str(parse_sealed(path))
            if id not in self._damaged:
                continue

            def step(disk: ShadowDisk, path: Path = path, id: str = id) -> None:
                finding = repair_sealed(disk, path)
                if finding.outcome in ("repaired", "whole"):  # whole: an attempt before did not end and was durable
                    self._damaged.discard(id)
                else:
                    assert finding.reason == NOTHING_LEFT, finding

            self._operate(trouble, step)

    # --- invariants ---

    @invariant()
    def readers_show_what_was_acknowledged(self) -> None:
        search = Search([self.directory], make_query().showing(DuplicateMode.SHOW))
        self.model.check([(position, event) for event, position in search])
        for fault in search.faults:
            assert self._is_of_damage(str(fault)) or ".open" in str(fault), fault

    @invariant()
    def verify_finds_the_damage_and_nothing_else(self) -> None:
        for verdict in verify([self.directory]):
            if verdict.state == "orphaned":
                continue  # it waits for its recovery
            for fault in verdict.faults:
                assert self._is_of_damage(str(fault)), fault
            if verdict.id and str(verdict.id) in self._damaged:
                assert verdict.faults, f"{verdict.id} is damaged, and verify does not see it"
            elif verdict.id in self.model.lost and verdict.state == "sealed":
                assert verdict.lost == self.model.lost[verdict.id]

    def _is_of_damage(self, fault: str) -> bool:
        return any(id in fault for id in self._ever_damaged)


def test_any_order_of_steps_keeps_acknowledged_events(pytestconfig: pytest.Config) -> None:
    machines = pytestconfig.getoption("machines")
    # Without the phase that shrinks: it takes many minutes, and a series of 25 steps is readable.
    run_state_machine_as_test(
        ArchiveLogMachine,
        settings=settings(
            max_examples=machines or 60, stateful_step_count=25, deadline=None, derandomize=not machines, database=None,
            suppress_health_check=list(HealthCheck), phases=[Phase.generate],
        ),
    )  # fmt: skip
