import errno
from pathlib import Path

import pytest

from consumer.disk import syscalls
from consumer.disk.durable import Disk


def test_without_renameat2_a_link_does_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS knows no flags of rename."""

    class Library:
        @staticmethod
        def renameat2(*_: object) -> int:
            syscalls.ctypes.set_errno(errno.EINVAL)
            return -1

    monkeypatch.setattr(syscalls.ctypes, "CDLL", lambda *_args, **_kwargs: Library)
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    with pytest.raises(FileExistsError):
        Disk().rename(tmp_path / "a", tmp_path / "b")
    Disk().rename(tmp_path / "a", tmp_path / "c")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b", "c"]
