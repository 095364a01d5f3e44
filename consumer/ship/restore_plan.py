"""What `fetch` restores: the objects below URLs, each with the place in the new directory at which the shipper found it.

Invariant: an archive has the same path below the directory as below the prefix. Nothing is read but listings.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from consumer.archive import naming
from consumer.archive.digests import files as digests
from consumer.archive.listing import find_archives, id_of
from consumer.errors import Exit, Fatal
from consumer.objects.store import StoredObject
from consumer.objects.stores import store_of
from consumer.objects.url import Listed, ObjectUrl
from consumer.ship.side_files import SUFFIXES


@dataclass(frozen=True)
class Window:
    """Archives with events that arrived in this span, in microseconds since 1970, inclusive. None: no limit."""

    since_us: int | None = None
    until_us: int | None = None

    @property
    def everything(self) -> bool:
        """Whether there is no limit."""
        return self.since_us is None and self.until_us is None

    def has(self, url: ObjectUrl) -> bool:
        """Whether an archive may have such events, by its name."""
        first, last = naming.first_arrival_us(url), naming.last_arrival_us(url)
        after = self.since_us is None or last is None or last >= self.since_us
        return after and (self.until_us is None or first is None or first <= self.until_us)


@dataclass(frozen=True)
class Copy:
    """An object and the path at which it is restored."""

    url: ObjectUrl
    path: Path
    size: int


@dataclass
class RestorePlan:
    """What is restored, in this order: files beside archives (so that no deleted event is shown), archives, digests.

    `highest`: the highest sequence of each instance that the destinations have, restored or not.
    """

    beside: list[Copy] = field(default_factory=list)
    archives: list[Copy] = field(default_factory=list)
    digests: list[Copy] = field(default_factory=list)
    highest: dict[str, int] = field(default_factory=dict)


def restore_plan(urls: Sequence[ObjectUrl], directory: Path, window: Window) -> RestorePlan:
    """The plan for a directory. Raises ObjectError, and Fatal for a URL without archives."""
    plan, found = RestorePlan(), list[Copy]()
    for url in urls:
        root, objects = _objects(url)
        if not any(naming.parse_sealed(one.url) for one in objects):
            raise Fatal(Exit.SETTINGS, f"{url}: there is no archive", "name the URL to which the archives were shipped")
        found += [_copy(one, root, directory) for one in objects]
    _add_archives(plan, found, window)
    _add_side_files(plan, found, window)
    if window.everything:
        first: dict[Path, Copy] = {}
        for copy in found:
            if _is_digest(copy.path, directory / digests.FOLDER):
                first.setdefault(copy.path, copy)
        plan.digests += first.values()
    return plan


def _add_archives(plan: RestorePlan, found: Iterable[Copy], window: Window) -> None:
    """Each archive once, from the first URL that has it."""
    chosen: set[naming.ArchiveId] = set()
    for copy in found:
        if (id := naming.parse_sealed(copy.url)) is not None:
            plan.highest[id.instance] = max(plan.highest.get(id.instance, 0), id.sequence)
            if window.has(copy.url) and id not in chosen:
                chosen.add(id)
                plan.archives.append(copy)


def _add_side_files(plan: RestorePlan, found: Iterable[Copy], window: Window) -> None:
    """The files beside the chosen archives, of all URLs: an event may be deleted at one of them only. They are restored beside the archive."""
    folders = {str(naming.parse_sealed(copy.url)): copy.path.parent for copy in plan.archives}
    for copy in found:
        name = PurePosixPath(copy.url.name)
        if name.suffix in SUFFIXES and (name.stem in folders or window.everything):
            folder = folders.get(name.stem, copy.path.parent)
            plan.beside.append(replace(copy, path=folder / copy.path.name))


def _objects(url: ObjectUrl) -> tuple[ObjectUrl, list[StoredObject]]:
    """The prefix from which paths are counted, and the objects to restore. Of an archive, those in its folder that belong to it."""
    id = id_of(url)
    if id is None:
        return url, list(store_of(url).list(url))
    (found,) = find_archives([url])
    assert isinstance(found, ObjectUrl)
    beside = [one for one in store_of(url).list(url.parent) if one.url == found or one.url.name.startswith(f"{id}.")]
    return url.parent.parent, beside


def _copy(one: StoredObject, root: ObjectUrl, directory: Path) -> Copy:
    return Copy(one.url.listed_as(Listed(one.size, one.etag)), directory / one.url.relative(root), one.size)


def _is_digest(path: Path, folder: Path) -> bool:
    return path.parent.parent == folder and digests.parse_name(path.name) is not None


def instances_of(copies: Iterable[Copy]) -> set[str]:
    """The instances whose archives are restored."""
    return {id.instance for copy in copies if (id := naming.parse_sealed(copy.url)) is not None}
