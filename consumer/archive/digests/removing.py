"""Whether a process is about to remove an archive from its directory, after it has recorded that in a digest.

Role: a digest lists an archive again if it was recorded as retired and is still there. Invariant: a process that removes archives holds one
of these locks from before it records the removal until after it; so it records anew what was listed again before.
"""

from pathlib import Path

from consumer.archive import naming
from consumer.archive.reading import tombstones
from consumer.disk.durable import is_held

# In the archive directory, of a run of retention. No name of an instance begins with a dot.
RETENTION_LOCK = ".retain.lock"


def is_being_removed(directory: Path, path: Path, archive: naming.ArchiveId) -> bool:
    """Whether retention runs on the directory, or a process has the archive at `path` to itself, as a step on seal does."""
    return _is_held(directory / RETENTION_LOCK) or _is_held(path.with_name(f"{archive}{tombstones.SUFFIX}.lock"))


def _is_held(path: Path) -> bool:
    """A lock that cannot be looked at may be held."""
    try:
        return is_held(path)
    except FileNotFoundError:
        return False
    except OSError:
        return True
