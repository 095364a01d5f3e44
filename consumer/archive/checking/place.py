"""A place of archives: an archive directory or a destination, and the names that digests give it.

Role: digests record from which place policy removed an archive, and where it was kept.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from codec.digest import LOCAL
from consumer.archive import naming
from consumer.archive.digests import files
from consumer.archive.digests.chain import InstanceChain
from consumer.archive.location import Location
from consumer.disk.durable import is_held

UPLOADING = "uploading"  # the folder of the lock files of uploads that run


@dataclass
class Place:
    """`present`: the archives that are there. `is_origin`: archives are made there; other places get copies. `name`: as digests name it.

    `instances`: those whose archives are made there, as far as ledgers and digests show them.
    """

    root: Location
    is_origin: bool
    name: str
    instances: frozenset[str] = frozenset()
    present: set[naming.ArchiveId] = field(default_factory=set)

    def is_named(self, where: str) -> bool:
        """Whether a digest means this place. A place may be named above a destination."""
        return where == self.name or (self.name != LOCAL and where.startswith(self.name.rstrip("/") + "/"))

    def makes(self, instance: str) -> bool:
        """Whether the archives of an instance are made there."""
        return self.is_origin and (instance in self.instances or any(one.instance == instance for one in self.present))

    def is_uploading(self, archive: naming.ArchiveId) -> bool:
        """Whether a process ships the archive from this place now."""
        if not self.is_origin or not isinstance(self.root, Path):
            return False
        try:
            return is_held(self.root / UPLOADING / str(archive))
        except OSError:
            return False


def places_of(roots: Sequence[Location], chains: Iterable[InstanceChain]) -> list[Place]:
    """The places of these locations, which are checked together."""
    named = {where for chain in chains for where in chain.named}
    return [_place(root, named, is_copy=isinstance(root, Path) and is_copy(root, roots)) for root in roots]


def is_copy(root: Path, others: Iterable[Location]) -> bool:
    """Whether a directory is a destination of another one: it has digests of an instance whose digests are made there, and makes none."""
    made = frozenset().union(*(makes(other) for other in others if isinstance(other, Path)))
    return not makes(root) and not made.isdisjoint(files.instances(root))


def makes(root: Path) -> frozenset[str]:
    """The instances whose archives or digests are made in a directory, by its ledgers and by the locks of digests."""
    ledgers = {path.stem for path in root.glob("*.ledger")}
    return frozenset(ledgers | {path.parent.name for path in root.glob(f"{files.FOLDER}/*/{files.LOCK}")})


def _place(root: Location, named: set[str], is_copy: bool) -> Place:
    if not isinstance(root, Path):
        return Place(root, False, str(root))
    own, made = f"file://{root.resolve()}", makes(root)
    # A destination may have been named by a link.
    names = {
        f"file://{Path(where[len('file://') :]).resolve()}": where for where in named if where.startswith("file://")
    }
    is_named = own in names or any(where.startswith(own + "/") for where in named)
    if is_copy or (is_named and not made):
        return Place(root, False, names.get(own, own))
    return Place(root, True, LOCAL, frozenset({*made, *files.instances(root)}))
