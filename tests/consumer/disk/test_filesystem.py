from pathlib import Path

import pytest

from consumer import log
from consumer.archive.layout import Layout
from consumer.archive.writing.instance_lock import InstanceLock
from consumer.disk.durable import Disk
from consumer.disk.filesystem import unsupported


@pytest.mark.parametrize(
    ("kind", "name", "reason"),
    [
        (0x6969, "nfs", "another host"),
        (0xFF534D42, "cifs", "another host"),
        (0x01021994, "tmpfs", "power cut"),
        (0x4D44, "0x4d44", "unknown"),
    ],
)
def test_a_file_system_that_may_lose_acknowledged_events_is_named(kind: int, name: str, reason: str) -> None:
    found = unsupported(kind)
    assert found is not None
    assert found[0] == name
    assert reason in found[1]


@pytest.mark.parametrize("kind", [0xEF53, 0x58465342, 0x9123683E])
def test_a_local_file_system_is_not_reported(kind: int) -> None:
    assert unsupported(kind) is None


def test_the_kernel_reports_the_file_system_of_a_directory() -> None:
    assert unsupported(Disk().file_system(Path("/dev/shm"))) == (
        "tmpfs",
        "it is in memory: a power cut loses everything",
    )
    with pytest.raises(FileNotFoundError):
        Disk().file_system(Path("/not/there"))


async def test_the_start_warns_of_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[tuple[str, object]] = []
    monkeypatch.setattr(log, "emit", lambda event, **fields: lines.append((event.name, fields.get("type"))))
    disk = Disk()
    disk.file_system = lambda _path: 0x6969  # type: ignore[method-assign]
    (await InstanceLock.acquire(disk, Layout(tmp_path), "one")).release()
    assert ("unsupported_file_system", "nfs") in lines
