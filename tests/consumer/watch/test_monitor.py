"""The contract, and tests named after the defects of the file monitor that this replaces."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path

import pytest

from consumer.watch.backend import Backend
from consumer.watch.backends import Polling, Static
from consumer.watch.inotify import Inotify
from consumer.watch.monitor import FileEvent, FileMonitor
from consumer.watch.snapshot import FileEventKind

Events = list[tuple[str, str]]


@pytest.fixture(params=["inotify", "polling"])
def monitor(request: pytest.FixtureRequest) -> Iterator[FileMonitor]:
    made = FileMonitor(Inotify() if request.param == "inotify" else Polling(0.005))
    yield made
    made.shutdown()


class Recorder(Events):
    """A handler that records kind and name of each event."""

    def __call__(self, event: FileEvent) -> None:
        self.append((event.kind.value, event.name))

    def taken(self) -> Events:
        events = list(self)
        self.clear()
        return events


def settle(monitor: FileMonitor) -> None:
    """Poll until no event is queued any more; polling needs a second check to see that a file has stopped growing."""
    quiet = 0
    for _ in range(1000):
        if quiet == 3:
            break
        before = monitor.pending()
        quiet = quiet + 1 if monitor.poll(0.03) == before else 0
    monitor.handle_event_set()


def write(path: Path, text: str) -> None:
    path.write_text(text)


def test_existing_files_are_reported_when_a_monitor_is_added(monitor: FileMonitor, tmp_path: Path) -> None:
    write(tmp_path / "b", "1")
    write(tmp_path / "a", "1")
    reported = Recorder()
    monitor.add(tmp_path, reported)
    monitor.start()
    monitor.handle_event_set()
    assert reported == [("exists", str(tmp_path)), ("exists", "a"), ("exists", "b"), ("endExist", str(tmp_path))]


def test_a_monitor_of_a_file_reports_it_by_its_full_path(monitor: FileMonitor, tmp_path: Path) -> None:
    reported = Recorder()
    path = tmp_path / "deep" / "file"
    monitor.add(path, reported)
    monitor.start()
    settle(monitor)
    assert reported.taken() == [("endExist", str(path))]
    path.parent.mkdir()
    write(path, "1")
    settle(monitor)
    assert reported.taken() == [("created", str(path))]
    write(path, "12")
    settle(monitor)
    assert reported.taken() == [("changed", str(path))]
    shutil.rmtree(path.parent)
    settle(monitor)
    assert reported.taken() == [("deleted", str(path))]


def atomic(path: Path, text: str) -> None:
    fresh = path.with_name(".fresh")
    fresh.write_text(text)
    fresh.rename(path)


def five_writes(path: Path) -> None:
    with path.open("a") as file:
        for _ in range(5):
            file.write("x")
            file.flush()


def swap(directory: Path) -> None:
    for source, target in (("one", "x"), ("zwei", "one"), ("x", "zwei")):
        (directory / source).rename(directory / target)


HISTORIES: dict[str, tuple[Callable[[Path], object], Events]] = {
    "create": (lambda d: write(d / "new", "1"), [("created", "new")]),
    "append": (lambda d: five_writes(d / "one"), [("changed", "one")]),
    "chmod": (lambda d: (d / "one").chmod(0o600), [("changed", "one")]),
    "delete": (lambda d: (d / "one").unlink(), [("deleted", "one")]),
    "rename": (lambda d: (d / "one").rename(d / "two"), [("deleted", "one"), ("created", "two")]),
    "replace": (lambda d: atomic(d / "one", "other"), [("changed", "one")]),
    "move in": (lambda d: write(d.parent / "x", "1") or (d.parent / "x").rename(d / "in"), [("created", "in")]),
    "move out": (lambda d: (d / "one").rename(d.parent / "out"), [("deleted", "one")]),
    "create and delete": (lambda d: write(d / "new", "1") or (d / "new").unlink(), []),
    "delete and create": (lambda d: (d / "one").unlink() or write(d / "one", "another"), [("changed", "one")]),
    "directory": (lambda d: (d / "inner").mkdir() or write(d / "inner" / "file", "1"), [("created", "inner")]),
    "touch": (lambda d: os.utime(d / "one", ns=(1, 1)), [("changed", "one")]),
    "swap": (swap, [("changed", "one"), ("changed", "zwei")]),
    "link": (lambda d: (d / "link").symlink_to(d / "one"), [("created", "link")]),
    "ignored": (lambda d: write(d / ".one.swp", "1") or write(d / "one~", "1"), []),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_every_backend_reports_the_same_events(monitor: FileMonitor, tmp_path: Path, name: str) -> None:
    directory = tmp_path / "watched"
    directory.mkdir()
    write(directory / "one", "1")
    write(directory / "zwei", "22")
    reported = Recorder()
    monitor.add(directory, reported)
    monitor.start()
    settle(monitor)
    reported.clear()
    step, events = HISTORIES[name]
    step(directory)
    settle(monitor)
    assert reported == events


def test_a_file_and_its_directory_may_both_be_monitored(monitor: FileMonitor, tmp_path: Path) -> None:
    """The directory's monitor reported nothing, in either order."""
    first, file, last = Recorder(), Recorder(), Recorder()
    monitor.add(tmp_path, first)
    monitor.add(tmp_path / "file", file)
    monitor.add(tmp_path, last)
    monitor.start()
    settle(monitor)
    for reported in (first, file, last):
        reported.clear()
    write(tmp_path / "file", "1")
    write(tmp_path / "other", "1")
    settle(monitor)
    assert sorted(first) == sorted(last) == [("created", "file"), ("created", "other")]
    assert file == [("created", str(tmp_path / "file"))]


def test_a_directory_that_is_deleted_and_created_again_is_watched_again(monitor: FileMonitor, tmp_path: Path) -> None:
    """There was no event, the watch had ended, and setting the monitor again did not restore it."""
    directory = tmp_path / "a" / "b"
    directory.mkdir(parents=True)
    write(directory / "one", "1")
    reported = Recorder()
    monitor.add(directory, reported)
    monitor.start()
    settle(monitor)
    reported.clear()
    shutil.rmtree(tmp_path / "a")
    settle(monitor)
    assert reported.taken() == [("deleted", "one"), ("deleted", str(directory))]
    directory.mkdir(parents=True)
    write(directory / "two", "1")
    settle(monitor)
    assert reported.taken() == [("created", str(directory)), ("created", "two")]
    write(directory / "three", "1")
    settle(monitor)
    assert reported.taken() == [("created", "three")]


def test_a_directory_that_is_renamed_is_deleted(monitor: FileMonitor, tmp_path: Path) -> None:
    directory = tmp_path / "watched"
    directory.mkdir()
    reported = Recorder()
    monitor.add(directory, reported)
    monitor.start()
    settle(monitor)
    reported.clear()
    directory.rename(tmp_path / "elsewhere")
    settle(monitor)
    write(tmp_path / "elsewhere" / "file", "1")
    settle(monitor)
    assert reported == [("deleted", str(directory))]


def test_a_file_is_reported_when_its_writer_closes_it(tmp_path: Path) -> None:
    reported = Recorder()
    write(tmp_path / "file", "")
    monitor = FileMonitor(Inotify())
    monitor.add(tmp_path, reported)
    monitor.start()
    settle(monitor)
    reported.clear()
    with (tmp_path / "file").open("w") as file:
        for _ in range(5):
            file.write("x" * 10)
            file.flush()
            settle(monitor)
        assert reported == []
    settle(monitor)
    assert reported == [("changed", "file")]
    monitor.shutdown()


def test_polling_reports_a_file_when_it_has_stopped_growing(tmp_path: Path) -> None:
    reported = Recorder()
    write(tmp_path / "file", "")
    monitor = FileMonitor(Polling(0))
    monitor.add(tmp_path, reported)
    monitor.start()
    monitor.poll(0)
    monitor.handle_event_set()
    reported.clear()
    for size in range(1, 5):
        write(tmp_path / "file", "x" * size)
        monitor.poll(0)
        monitor.handle_event_set()
    assert reported == []
    monitor.poll(0)
    monitor.handle_event_set()
    assert reported == [("changed", "file")]


def test_the_static_backend_reports_existing_files_only(tmp_path: Path) -> None:
    reported = Recorder()
    monitor = FileMonitor(Static())
    monitor.add(tmp_path, reported)
    monitor.start()
    write(tmp_path / "file", "1")
    monitor.poll(0.01)
    monitor.handle_event_set()
    assert reported == [("exists", str(tmp_path)), ("endExist", str(tmp_path))]


CHANGES = """
import sys
from pathlib import Path
for number in range(12_000):
    (Path(sys.argv[1]) / f"file-{number}").write_text("x")
"""


def test_twelve_thousand_changes_while_stopped_lose_nothing(tmp_path: Path) -> None:
    """The kernel's queue overflows: others lose half of the names without an error."""
    script = (
        "import sys; from pathlib import Path; from consumer.watch.monitor import FileMonitor; from consumer.watch.inotify import Inotify\n"
        "names = []; monitor = FileMonitor(Inotify()); monitor.add(Path(sys.argv[1]), lambda event: names.append(event.name))\n"
        "monitor.start(); monitor.handle_event_set(); names.clear(); print('ready', flush=True); sys.stdin.readline()\n"
        "while len(set(names)) < 12_000 and monitor.poll(5): monitor.handle_event_set()\n"
        "print(len(names), len(set(names)))\n"
    )
    watched = tmp_path / "watched"
    watched.mkdir()
    command = [sys.executable, "-c", script, str(watched)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        assert watching.stdout.readline() == "ready\n"
        watching.send_signal(signal.SIGSTOP)
        subprocess.run([sys.executable, "-c", CHANGES, str(watched)], check=True)
        watching.send_signal(signal.SIGCONT)
        out, _ = watching.communicate("\n", timeout=60)
    assert out == "12000 12000\n"


def test_a_removed_monitor_reports_nothing(monitor: FileMonitor, tmp_path: Path) -> None:
    """There was no way to remove one."""
    reported, other = Recorder(), Recorder()
    id = monitor.add(tmp_path, reported)
    monitor.add(tmp_path, other)
    monitor.start()
    monitor.remove(id)
    write(tmp_path / "file", "1")
    settle(monitor)
    assert reported == []
    assert ("created", "file") in other or ("exists", "file") in other
    assert [path for _, path in monitor.handlers()] == [tmp_path]
    with pytest.raises(KeyError):
        monitor.remove(id)


def test_ids_are_unique_whatever_was_removed(tmp_path: Path) -> None:
    """They were the number of monitors, and collided."""
    monitor = FileMonitor(Static())
    ids = [monitor.add(tmp_path, Recorder()) for _ in range(3)]
    monitor.remove(ids[0])
    ids.append(monitor.add(tmp_path, Recorder()))
    assert len(set(ids)) == 4
    assert monitor.add(tmp_path, Recorder(), "mine") == "mine"
    with pytest.raises(ValueError, match="in use"):
        monitor.add(tmp_path, Recorder(), "mine")


def test_a_monitor_may_be_added_after_the_start(monitor: FileMonitor, tmp_path: Path) -> None:
    monitor.start()
    reported = Recorder()
    write(tmp_path / "file", "1")
    monitor.add(tmp_path, reported)
    settle(monitor)
    assert reported == [("exists", str(tmp_path)), ("exists", "file"), ("endExist", str(tmp_path))]


def test_a_handler_that_fails_stops_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In a program that does not write the log of Deedbox, nothing was printed."""
    monitor, reported = FileMonitor(Static()), Recorder()
    monitor.add(tmp_path, lambda _: 1 // 0)
    monitor.add(tmp_path, reported)
    monitor.start()
    assert monitor.handle_event_set() == 4
    assert len(reported) == 2
    assert [record.getMessage() for record in caplog.records] == [
        f"the handler of {tmp_path} failed on the event exists of {tmp_path}",
        f"the handler of {tmp_path} failed on the event endExist of {tmp_path}",
    ]
    assert "ZeroDivisionError" in caplog.text


def test_a_lock_is_released_when_a_handler_is_interrupted(tmp_path: Path) -> None:
    """It stayed locked."""

    def interrupted(_: FileEvent) -> None:
        raise KeyboardInterrupt

    held: list[str] = []

    @contextlib.contextmanager
    def lock() -> Iterator[None]:
        held.append("taken")
        try:
            yield
        finally:
            held.append("given back")

    monitor = FileMonitor(Static())
    monitor.add(tmp_path, interrupted)
    monitor.start()
    with pytest.raises(KeyboardInterrupt):
        monitor.handle_event_set(lock())
    assert held == ["taken", "given back"]


def test_an_interval_ends_under_steady_traffic(tmp_path: Path) -> None:
    """Its end was put off at each event."""
    monitor, reported = FileMonitor(Inotify()), Recorder()
    monitor.add(tmp_path, lambda event: (reported(event), write(tmp_path / f"{len(reported)}", "x")))
    monitor.start()
    assert monitor.handle_events_in_interval(0.2) > 2
    monitor.shutdown()


def test_events_can_be_taken_one_by_one(tmp_path: Path) -> None:
    monitor, reported = FileMonitor(Static()), Recorder()
    id = monitor.add(tmp_path, reported)
    monitor.start()
    assert monitor.pending() == 2
    event = monitor.get_event()
    assert event == FileEvent(id, str(tmp_path), FileEventKind.EXISTS)
    assert monitor.handle_one_event(event)
    assert not monitor.handle_one_event(FileEvent("nobody", "x", FileEventKind.CHANGED))
    assert not monitor.handle_one_event(FileEvent(id, "x.swp", FileEventKind.CHANGED))
    assert monitor.pending() == 1


@pytest.mark.parametrize("name", ["a~", "a#", ".#a", "a.swp", ".a.swx", "4913", ".gitignore", "/deep/.svn"])
def test_temporary_files_of_editors_are_ignored(name: str) -> None:
    assert FileMonitor(Static()).should_ignore(name)
    assert not FileMonitor(Static()).should_ignore("a.conf")


def test_a_path_that_cannot_be_watched_does_not_affect_the_others(monitor: FileMonitor, tmp_path: Path) -> None:
    """One bad path in the queue dropped the rest at the start."""
    reported = Recorder()
    monitor.add(tmp_path / "file" / "below" / "a file", Recorder())
    write(tmp_path / "file", "1")
    monitor.add(tmp_path, reported)
    monitor.start()
    settle(monitor)
    assert ("exists", "file") in reported


def test_a_symbolic_link_that_changes_its_target_is_followed(monitor: FileMonitor, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    link = tmp_path / "current"
    link.symlink_to(tmp_path / "one")
    reported = Recorder()
    monitor.add(link, reported)
    monitor.start()
    settle(monitor)
    reported.clear()
    (tmp_path / "new").symlink_to(tmp_path / "two")
    (tmp_path / "new").rename(link)
    settle(monitor)
    assert reported.taken() == [("changed", str(link))]
    write(tmp_path / "two" / "file", "1")
    settle(monitor)
    assert reported.taken() == [("created", "file")]


def test_a_directory_above_that_is_replaced_is_noticed(monitor: FileMonitor, tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b" / "c"
    directory.mkdir(parents=True)
    reported = Recorder()
    monitor.add(directory, reported)
    monitor.start()
    settle(monitor)
    reported.clear()
    (tmp_path / "a" / "b").rename(tmp_path / "a" / "old")
    directory.mkdir(parents=True)
    write(directory / "file", "1")
    settle(monitor)
    assert reported.taken() == [("changed", str(directory)), ("created", "file")]


@pytest.mark.parametrize("path", ["/", "/" + "n" * 300, "/nul\0"])
def test_a_path_that_no_file_can_have_does_not_affect_the_others(
    monitor: FileMonitor, tmp_path: Path, path: str
) -> None:
    reported = Recorder()
    monitor.add(Path(path), Recorder())
    monitor.add(tmp_path, reported)
    monitor.start()
    settle(monitor)
    reported.clear()
    write(tmp_path / "file", "1")
    settle(monitor)
    assert reported == [("created", "file")]


def test_a_rewrite_that_restores_the_time_is_noticed(monitor: FileMonitor, tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, "one")
    found = path.stat()
    reported = Recorder()
    monitor.add(tmp_path, reported)
    monitor.start()
    settle(monitor)
    reported.clear()
    write(path, "two")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    settle(monitor)
    assert reported == [("changed", "file")]


def test_many_monitors_may_be_added_without_a_poll() -> None:
    """Each call wrote into the pipe that ends a wait, until the pipe was full and the lock was never released."""
    kernel = Inotify()
    for _ in range(70_000):
        kernel.interrupt()
    assert kernel.wait_for_changes(0) == set()
    kernel.close()
    kernel.interrupt()


def test_a_file_that_is_created_between_watching_and_listing_is_reported_once(tmp_path: Path) -> None:
    """It was reported twice: by the watch, which was added first, and by the listing."""

    class Busy(Inotify):
        def watch(self, directories: Collection[Path], /) -> bool:
            fresh = super().watch(directories)
            if not (tmp_path / "file").exists():
                (tmp_path / "file").touch()
            return fresh

    monitor, reported = FileMonitor(Busy()), Recorder()
    monitor.add(tmp_path, reported)
    monitor.start()
    settle(monitor)
    assert [name for _, name in reported].count("file") == 1
    monitor.shutdown()


class Unwatchable(Static):
    """Watches no directory."""

    def watch(self, _directories: Collection[Path], /) -> bool:
        """Fail, as inotify does at its limit."""
        raise OSError("no watch is left")


def test_what_cannot_be_watched_or_read_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In a program that does not write the log of Deedbox, nothing was printed."""
    monitor = FileMonitor(Unwatchable())
    monitor.add(tmp_path / ("x" * 300), Recorder())
    monitor.start()
    logged = [(record.name, record.levelname, record.getMessage()) for record in caplog.records]
    assert [(name, level) for name, level, _ in logged] == [("deedbox.files", "WARNING")] * 2
    assert "a directory cannot be watched, and is tried again: no watch is left" in logged[0][2]
    assert "xxx: File name too long" in logged[1][2]


@pytest.mark.parametrize("backend", [Inotify, Static])
def test_a_monitor_does_not_watch_before_its_start_and_after_its_end(
    backend: Callable[[], Backend], tmp_path: Path
) -> None:
    """The number of its closed descriptor may be that of another file of the program."""
    monitor = FileMonitor(backend())
    monitor.add(tmp_path, Recorder())
    with pytest.raises(RuntimeError, match="poll was called before start or after shutdown"):
        monitor.poll(0)
    monitor.start()
    monitor.shutdown()
    with pytest.raises(RuntimeError, match="poll was called before start or after shutdown"):
        monitor.poll(0)
    with pytest.raises(RuntimeError, match="start was called after shutdown; make a new monitor"):
        monitor.start()
    assert monitor.handle_event_set() == 2


@pytest.mark.parametrize("backend", [Inotify, partial(Polling, 30)])
def test_another_thread_may_end_a_monitor_that_waits(
    backend: Callable[[], Backend], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The waiting thread read a descriptor that was closed."""
    monitor = FileMonitor(backend())
    monitor.add(tmp_path, Recorder())
    monitor.start()
    threading.Timer(0.05, monitor.shutdown).start()
    assert monitor.poll(30) == 2
    assert caplog.records == []
