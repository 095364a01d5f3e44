"""Which archives are in a directory, in order of instance and sequence, by their names. No file is opened.

Invariant: an archive that existed when a listing began and still exists when it ends is in it, even if it is sealed during the
listing. An archive moves once, from its open name to a sealed name in a folder below the same directory, and the folder may be
made for it. Two walks are therefore enough: the first one sees the open name, or the archive was sealed before that walk had read its
directory; then its folder exists before the second walk begins. A third walk finds archives that were sealed during the second. The number of
walks does not depend on what the writer does meanwhile.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import overload

from consumer.archive import naming
from consumer.archive.location import Location
from consumer.objects.errors import NotFound, ObjectError
from consumer.objects.store import StoredObject
from consumer.objects.stores import store_of
from consumer.objects.url import Listed, ObjectUrl

WALKS_MAX = 4


@dataclass
class _Walk:
    """The result of one walk: archives by path, and directories that could not be read. `vanished`: a directory was removed during the walk.

    `trees`: the real paths of the named directory and of the directories outside of it that links lead to.
    """

    trees: list[str]
    archives: dict[str, naming.ArchiveId] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    vanished: bool = False

    def leads_on(self, link: str) -> bool:
        """Whether to follow a link to a directory: only if it leads outside of `trees`, and not to a directory above, whose archives no path names."""
        real = os.path.realpath(link)
        if any(_is_within(real, tree) for tree in self.trees) or _is_within(self.trees[0], real):
            return False
        self.trees.append(real)
        return True


def _is_within(inner: str, outer: str) -> bool:
    return os.path.commonpath([inner, outer]) == outer


@overload
def find_archives(paths: Sequence[Path]) -> list[Path]: ...


@overload
def find_archives(paths: Sequence[Location]) -> list[Location]: ...


def find_archives(paths: Sequence[Location]) -> Sequence[Location]:
    """The archives below the paths and URLs, in order of instance and sequence. Files that were named themselves are kept in their order.

    A file is listed once, also if several of `paths` or links lead to it. Links to directories are followed, but not to a directory above.
    A directory that cannot be read is in the result: opening it gives the reason.
    """
    found: dict[str, Location] = {}
    real = cache(os.path.realpath)  # called once per directory
    for path in paths:
        if isinstance(path, ObjectUrl):
            found.update((str(url), url) for url in _objects_below(path))
        elif path.is_dir():
            for place in _below(str(path)):
                inside, name = os.path.split(place)
                found.setdefault(f"{real(inside).rstrip('/')}/{name}", Path(place))
        else:
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


@overload
def sorted_archives(paths: Sequence[Path]) -> list[Path]: ...


@overload
def sorted_archives(paths: Sequence[Location]) -> list[Location]: ...


def sorted_archives(paths: Sequence[Location]) -> Sequence[Location]:
    """As `find_archives`, all in order of instance and sequence; files without the name of an archive come last."""
    found = find_archives(paths)
    named = sorted((archive, str(path), index) for index, path in enumerate(found) if (archive := id_of(path)))
    return [found[index] for *_, index in named] + [path for path in found if id_of(path) is None]


def id_of(path: Location) -> naming.ArchiveId | None:
    """Instance and sequence in the name; None if it is not the name of an archive."""
    return naming.parse_sealed(path) or naming.parse_open(path)


@overload
def find_again(path: Path, roots: Sequence[Path] = ()) -> list[Path]: ...


@overload
def find_again(path: Location, roots: Sequence[Location] = ()) -> list[Location]: ...


def find_again(path: Location, roots: Sequence[Location] = ()) -> Sequence[Location]:
    """Other paths with the id of an archive that is not at `path` any more, below `roots` or its directory."""
    wanted = id_of(path)
    if wanted is None:
        return []
    return [other for other in find_archives(list(roots) or [path.parent]) if other != path and id_of(other) == wanted]


def size_of(location: Location) -> int:
    """The size of an archive, for a progress bar; 0 if it is not known without a request, or it cannot be read."""
    if isinstance(location, ObjectUrl):
        return location.listed.size if isinstance(location.listed, Listed) else 0
    try:
        return location.stat().st_size
    except OSError:
        return 0


def file_of(path: Path) -> tuple[int, int] | None:
    """Device and inode of a file on this machine; None if it does not exist."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def is_folder(location: Location) -> bool:
    """Whether a location is a directory, or a URL that does not name an archive itself."""
    return location.is_dir() if isinstance(location, Path) else id_of(location) is None


def _objects_below(url: ObjectUrl) -> list[ObjectUrl]:
    """The archives below a prefix, in order, with what the listing showed of them; the URL itself if it names an object.

    A prefix that cannot be listed is in the result, with the error: opening it raises the error.
    """
    if not is_folder(url):
        return [url.listed_as(None)]  # what an earlier listing showed may be old
    try:
        objects = list(store_of(url).list(url))
        return _archives_of(objects) if objects or not url.key else [_named(url)]
    except ObjectError as error:
        return [url.listed_as(error)]


def _archives_of(objects: Iterable[StoredObject]) -> list[ObjectUrl]:
    found: list[tuple[naming.ArchiveId, ObjectUrl]] = []
    beside: dict[tuple[str, str], set[str]] = {}
    for one in objects:
        id = id_of(one.url)
        if id is None:
            key = one.url.parent.key, one.url.name.rpartition(".")[0]
            beside.setdefault(key, set()).add(one.url.name)
        else:
            found.append((id, one.url.listed_as(Listed(one.size, one.etag))))
    return [_with_names(url, beside.get((url.parent.key, str(id)))) for id, url in sorted(found)]


def _with_names(url: ObjectUrl, names: set[str] | None) -> ObjectUrl:
    assert isinstance(url.listed, Listed)
    return url.listed_as(url.listed._replace(beside=frozenset(names or ())))


def _named(url: ObjectUrl) -> ObjectUrl:
    """An object with a name of its own, which was named itself; with the error if there is none. Raises ObjectError."""
    found = store_of(url).head(url)
    if found is None:
        return url.listed_as(NotFound(url, "there is no object of this name or below it", "correct the URL"))
    return url.listed_as(Listed(found[0].size, found[0].etag))


def _below(directory: str) -> list[str]:
    """The archives in order, sealed names before open ones, then the directories that cannot be read."""
    walks = [_walk(directory)]
    while len(walks) < 2 or (len(walks) < WALKS_MAX and (walks[-1].vanished or _lost(walks))):
        walks.append(_walk(directory))
    kept = {**walks[-1].archives, **_unexplained(walks)}
    return [
        *sorted(kept, key=lambda place: (kept[place], place.endswith(naming.OPEN_SUFFIX), place)),
        *walks[-1].unread,
    ]


def _gone(walks: Sequence[_Walk]) -> dict[str, naming.ArchiveId]:
    """The archives that an earlier walk found and the last one did not."""
    last = walks[-1].archives
    return {place: id for walk in walks for place, id in walk.archives.items() if place not in last}


def _lost(walks: Sequence[_Walk]) -> bool:
    """Whether an archive has no name in the last walk: it may have been sealed during the walk."""
    return not set(_gone(walks).values()) <= set(walks[-1].archives.values())


def _unexplained(walks: Sequence[_Walk]) -> dict[str, naming.ArchiveId]:
    """Names that do not exist any more, unless the archive was found under another name. Opening them gives the reason."""
    moved = {id for place, id in walks[-1].archives.items() if place not in walks[0].archives}
    return {place: id for place, id in _gone(walks).items() if id not in moved}


def _walk(directory: str) -> _Walk:
    walk = _Walk([os.path.realpath(directory)])
    places = [directory]
    while places:
        place = places.pop()
        try:
            with os.scandir(place) as entries:
                # In order of the names, so that of two links to one place the same one is followed each time.
                ordered = sorted(entries, key=lambda entry: entry.name)
            places += [entry.path for entry in ordered if not _note(walk, entry)]
        except FileNotFoundError:
            walk.vanished = True
        except OSError:
            walk.unread.append(place)
    return walk


def _note(walk: _Walk, entry: "os.DirEntry[str]") -> bool:
    """Note an entry. Returns False for a directory that must be walked."""
    if entry.is_dir():
        return entry.is_symlink() and not walk.leads_on(entry.path)
    id = id_of(Path(entry.name))
    # A name that was removed, or a broken link, is kept: opening it gives the reason.
    if id is not None and (entry.is_file() or not Path(entry).exists()):
        walk.archives[entry.path] = id
    return True
