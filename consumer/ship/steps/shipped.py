"""Whether every destination has an archive, asked now: the condition of the steps `ship` and `delete`."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from consumer.archive import naming
from consumer.archive.writing.sealing import digest
from consumer.errors import DeedboxError
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from consumer.ship.retention.places import Place, Presence


def shipped_to(root: Path, urls: Sequence[ObjectUrl]) -> Callable[[Path, str], bool] | None:
    """A function that says whether all destinations have an archive, with its deletions, by its path and its name there; None without destinations.

    It raises DeedboxError if a destination does not answer or has other content, and OSError.
    """
    return partial(_is_shipped, root, urls) if urls else None


def _is_shipped(root: Path, urls: Sequence[ObjectUrl], path: Path, name: str) -> bool:
    archive = naming.parse_sealed(Path(name))
    assert archive is not None, "steps are for sealed archives"
    sha256 = ""

    def sha256_of() -> str:
        nonlocal sha256
        sha256 = sha256 or digest(path)
        return sha256

    for url in urls:
        place = Place(url, store_of(url))
        presence = place.presence(name, path.stat().st_size, sha256_of, path)
        if presence is Presence.MISSING:
            return False
        if presence is Presence.SAME_FILE:
            raise DeedboxError(f"{url / name}: is {path} itself, and no copy", "name another directory as destination")
        if presence is Presence.DIFFERENT:
            raise DeedboxError(f"{url / name}: differs from {path}", "look at the log of shipping")
        complete = presence is Presence.VERIFIED and place.has_side_files(root, path, name, archive)
        if reason := place.why_silent(name):
            raise DeedboxError(f"{url} does not answer: {reason}")
        if not complete:
            return False
    return True
