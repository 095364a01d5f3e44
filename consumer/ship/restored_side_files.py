"""Restore the files beside an archive: deleted events and acknowledged faults.

Invariants: no line that the directory has is removed, and every line that the destination has is added. So an event that was deleted at
either place is deleted, unless a line of `undelete` cancels this deletion, at either place.
"""

import hashlib
from pathlib import Path
from threading import Lock

from consumer.disk.durable import Disk, held, read_regular
from consumer.errors import DeedboxError
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl

_MERGING = Lock()  # several threads restore the copies of one file, from several destinations


def merge_lines(disk: Disk, url: ObjectUrl, path: Path) -> bool:
    """Add the lines of an object to a file, durably. Returns whether the file has changed. Raises DeedboxError and OSError."""
    fetched = _verified(url)
    disk.make_directory(path.parent)
    with _MERGING, held(disk, path.with_name(f"{path.name}.lock")) as free:
        if not free:
            raise DeedboxError(f"{path}: another process changes it", "fetch it again when the other process has ended")
        known = read_regular(path) if path.exists() else None
        lines = dict.fromkeys([*(known or b"").splitlines(), *fetched.splitlines()])
        wanted = b"".join(line + b"\n" for line in lines)
        if wanted != known:
            disk.replace(path, wanted)
    return wanted != known


def _verified(url: ObjectUrl) -> bytes:
    """The content of the object, if it has the SHA-256 in its attributes."""
    store = store_of(url)
    found = store.head(url)
    raw = store.get(url)
    sha256 = hashlib.sha256(raw).hexdigest()
    expected = found[1].get("sha256", sha256) if found else sha256
    if sha256 != expected:
        what = f"the object has SHA-256 {sha256}, {expected} expected"
        raise DeedboxError(what, "it was changed after it was shipped: look for another copy")
    return raw
