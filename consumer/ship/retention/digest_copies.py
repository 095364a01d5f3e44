"""Bring the digests of an archive directory to a destination, so that a removal is recorded there before it happens.

Invariants: digests go in the order of their numbers. One is put only if the destination has every archive that it lists, or a digest says
that policy removed it; until then the ones after it wait too. An object of the same name with other content is an error.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from codec.digest import Digest, ListedArchive
from consumer.archive.digests import files
from consumer.archive.digests.history import history
from consumer.archive.naming import ArchiveId
from consumer.errors import DeedboxError
from consumer.objects.errors import ObjectError
from consumer.ship.compare import SHA256, facts_of
from consumer.ship.digest_gate import is_listed, retired_paths
from consumer.ship.retention.places import Place


@dataclass
class Recorded:
    """What the digests at a destination record as retired, by archive and place. `waits`: why later digests are not there yet."""

    entries: set[tuple[ArchiveId, str]] = field(default_factory=set)
    waits: str = ""


def ship_digests(root: Path, place: Place, instances: Iterable[str]) -> Recorded:
    """Put the digests that are missing at the destination, as far as they may be put.

    Raises DeedboxError for a chain that is not whole, and for other content at the destination, and OSError.
    """
    recorded = Recorded()
    for instance in instances:
        if not place.fault:
            try:
                _ship_chain(root, place, instance, recorded)
            except ObjectError as error:
                place.fault = str(error)
    recorded.waits = recorded.waits or place.fault
    return recorded


def _ship_chain(root: Path, place: Place, instance: str, recorded: Recorded) -> None:
    chain = [stored.digest for stored in history(root, instance)]
    gone = retired_paths(chain, str(place))
    places = {one.where for digest in chain for one in digest.retired}
    for digest in chain:
        path = files.folder(root, instance) / files.digest_name(digest.number)
        name = path.relative_to(root).as_posix()
        raw = path.read_bytes()
        if not _is_there_already(place, name, raw, last=digest is chain[-1]):
            if missing := _missing(place, digest, gone):
                recorded.waits = f"its record waits: {path} {missing}"
                return
            _put(place, name, raw)
        # What is listed again was still there: an earlier record of its removal does not count.
        recorded.entries -= set(product((ArchiveId(instance, one.sequence) for one in digest.archives), places))
        recorded.entries |= {(ArchiveId(instance, one.sequence), one.where) for one in digest.retired}


def _put(place: Place, name: str, raw: bytes) -> None:
    """Put a digest, and check that the destination returns it. Raises ObjectError."""
    url = place.url / name
    place.store.put(url, raw, {SHA256: hashlib.sha256(raw).hexdigest()}, only_new=True)
    found = place.store.head(url)
    if found is None or found[0].size != len(raw):
        raise ObjectError(url, "the destination does not return the digest that was put")
    place.objects[name] = found[0]


def _is_there_already(place: Place, name: str, raw: bytes, last: bool) -> bool:
    """Whether the destination has this digest. The content of the last one is compared: it holds the SHA-256 of the one before.

    Raises DeedboxError if the destination has another digest of this name.
    """
    found = place.objects.get(name)
    if found is None:
        return False
    if found.size == len(raw) and (not last or place.store.get(place.url / name) == raw):
        return True
    raise DeedboxError(
        f"{place.url / name}: differs from the digest of the archive directory",
        "two directories ship to one prefix, or a chain was begun again: compare them with deedbox verify",
    )


def _missing(place: Place, digest: Digest, gone: set[str]) -> str:
    """Why a digest must not be put yet: an archive that it lists is not at the destination. Empty if it may be put."""
    for one in digest.archives:
        if one.path not in gone and not _is_there(place, one):
            return f"lists {one.path}, which is not at {place} yet"
    return ""


def _is_there(place: Place, one: ListedArchive) -> bool:
    found = place.store.head(place.url / one.path)
    if found is None:
        return False
    attributes = place.completed(*found)
    return is_listed(facts_of(found[0].size, attributes), one)
