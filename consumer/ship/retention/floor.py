"""The floor of retention: archives that must stay, because a follower has not passed them or a legal hold is on them.

Invariant: it is read from the disk at each call. What cannot be read raises an error, and nothing may be removed then.
"""

from pathlib import Path

from consumer.archive import naming
from consumer.errors import DeedboxError
from consumer.follow.checkpoint import registered
from consumer.ship.side_files import directories_of

HOLD = ".hold"


def waiting_followers(path: Path, archive: naming.ArchiveId) -> list[str]:
    """Why followers still need an archive: one text for each checkpoint, of any directory above the archive, that has not passed it.

    A follower has passed an archive when it confirmed an event of a later one: when it continues, it checks the event that it confirmed last.
    Raises DeedboxError if a checkpoint cannot be read.
    """
    found = []
    for base in path.absolute().parents:
        for file, streams in registered(base).items():
            homes = [
                (base / name.directory, at.position.sequence)
                for name, at in streams.items()
                if name.instance == archive.instance and _is_above(base / name.directory, path.absolute())
            ]
            _, sequence = max(homes, key=lambda home: len(home[0].parts), default=(base, 0))
            if sequence <= archive.sequence:
                found.append(f"follower {file.name.rpartition('.')[0]!r} has not passed it ({file})")
    return found


def _is_above(directory: Path, path: Path) -> bool:
    return directory in path.parents or directory.resolve() in path.resolve().parents


def local_hold(root: Path, path: Path) -> Path | None:
    """The file that holds an archive: `X.hold` beside archive X, or `.hold` in a directory from its own one up to `root`. None: no hold.

    Raises DeedboxError if a directory cannot be read.
    """
    for candidate in [path.with_name(path.name + HOLD), *(place / HOLD for place in directories_of(root, path))]:
        try:
            candidate.lstat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise DeedboxError(f"{candidate}: {error.strerror}", "make the directory readable") from error
        return candidate
    return None
