"""The progress of one archive through the steps on seal, as a small file: `steps/<instance>-<sequence>.steps` in the archive directory.

Invariants: a step is noted after its effect, durably, so that after a crash a step may run again, and none is left out. Before a
step takes an archive away, its target and its SHA-256 are noted, so that the next run finds it at one of two places.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from codec.errors import Corrupt
from consumer.archive import naming
from consumer.disk.durable import Disk, read_regular
from consumer.errors import DeedboxError

DIRECTORY = "steps"
SUFFIX = ".steps"
LOCK = "steps.lock"
BYTES_MAX = 64 * 1024
FORMAT = 1


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What was done with an archive. `path`: where it is. `done`: the texts of the steps. `leaving`: the path to which a step takes it.

    `name`: the path below the archive directory before a step took it away: its name at the destinations. `sha256`: of the archive when that
    step began.
    """

    path: str
    name: str = ""
    done: tuple[str, ...] = ()
    leaving: str = ""
    sha256: str = ""
    format: int = FORMAT

    def with_done(self, text: str) -> "Progress":
        """The progress after one more step."""
        return msgspec.structs.replace(self, done=(*self.done, text))


def progress_path(directory: Path, archive: naming.ArchiveId) -> Path:
    """The file of one archive."""
    return directory / DIRECTORY / f"{archive}{SUFFIX}"


def load(directory: Path, archive: naming.ArchiveId) -> Progress | None:
    """What is noted about an archive; None if nothing is. Raises DeedboxError if the file cannot be read."""
    path = progress_path(directory, archive)
    try:
        raw = read_regular(path, BYTES_MAX + 1)
        if len(raw) > BYTES_MAX:
            raise Corrupt(f"longer than {BYTES_MAX} bytes")
        found = msgspec.json.decode(raw, type=Progress)
        if found.format != FORMAT:
            raise Corrupt(f"format {found.format}, expected {FORMAT}")
        return found
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, Corrupt) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DeedboxError(f"{path}: {reason}", "restore the file, or remove it: then all steps run again") from error


def store(disk: Disk, directory: Path, archive: naming.ArchiveId, progress: Progress) -> None:
    """Note the progress of an archive durably. Raises OSError."""
    disk.make_directory(directory / DIRECTORY)
    disk.replace(progress_path(directory, archive), msgspec.json.encode(progress))


def forget(disk: Disk, directory: Path, archive: naming.ArchiveId) -> None:
    """Remove what is noted about an archive, which is gone. Raises OSError."""
    path = progress_path(directory, archive)
    if path.exists():
        disk.remove(path)


def noted(directory: Path) -> Iterator[naming.ArchiveId]:
    """The archives of which something is noted, in order."""
    names = (path.name.removesuffix(SUFFIX) for path in (directory / DIRECTORY).glob(f"*{SUFFIX}"))
    found = (naming.parse_open(Path(name + naming.OPEN_SUFFIX)) for name in names)
    yield from sorted(archive for archive in found if archive is not None)
