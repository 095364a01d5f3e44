"""Read the chains of digests at several places, and check them: numbers, previous SHA-256, spans, signatures, equal copies.

Role: a place is an archive directory or a destination, local or remote. The copies at all places are one chain, so that a digest which one
place has lost is read at another one. Invariant: each digest that is missing, damaged or changed is a fault, or is missing at one place
only and named there.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from codec.digest import ListedArchive, RetiredArchive, StoredDigest, check_follows, decode_digest
from codec.errors import CodecError, Corrupt
from consumer.archive import naming
from consumer.archive.digests import files
from consumer.archive.digests.signing import PublicKeys
from consumer.archive.location import Location
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl

THREADS = 16  # requests in flight
_KEY = re.compile(rf"(?:.*/)?{files.FOLDER}/(?P<instance>[^/]+)/(?P<name>[^/]+)\Z")


class ChainFaultCode(StrEnum):
    """What is wrong with a digest. The values are those of the fault codes of `verify`."""

    MISSING = "digest_missing"  # at no place
    DAMAGED = "digest_damaged"  # the file is no digest, or the digest of another instance or number
    CHANGED = "digest_changed"  # it does not follow the digest before, or two places have different ones
    SIGNATURE = "digest_signature"  # its signature is wrong
    UNSIGNED = "digest_unsigned"  # it has no signature, and no later one has one


@dataclass(frozen=True, slots=True)
class ChainFault:
    """A fault of one digest. `place`: the location of the file; None if it is missing at all places."""

    number: int
    code: ChainFaultCode
    reason: str
    place: Location | None = None


@dataclass
class InstanceChain:
    """The digests of one instance at all places. Places are numbers: indexes into the places that were read.

    `held`: the numbers of the digests at each place. `listed`: every entry of each sequence, oldest first, with the number of its digest.
    `listed_at`: the sequences that the digests of a place list. `retired`: what was not listed again after it was recorded as retired.
    `named`: the places that any digest names. `signed`: the newest digest with a valid signature; 0 if there is none.
    """

    instance: str
    digests: dict[int, StoredDigest] = field(default_factory=dict)
    held: dict[int, set[int]] = field(default_factory=dict)
    listed: dict[int, list[tuple[int, ListedArchive]]] = field(default_factory=dict)
    listed_at: dict[int, set[int]] = field(default_factory=dict)
    retired: dict[int, list[RetiredArchive]] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    faults: list[ChainFault] = field(default_factory=list)
    signed: int = 0

    @property
    def until_us(self) -> int:
        """The end of the newest span."""
        return self.digests[max(self.digests)].digest.until_us if self.digests else 0

    def proved_us(self, now_us: int) -> int:
        """The time until which the digests list all archives: when the newest one was made. 0 if there is none.

        A digest that was made after `now_us` was made by a wrong clock, and proves as much as the one before.
        """
        times = (self.digests[number].digest.made_us for number in sorted(self.digests, reverse=True))
        return next((time_us for time_us in times if time_us <= now_us), 0)


class _Copy(NamedTuple):
    place: int
    location: Location
    stored: StoredDigest


def read_chains(places: Sequence[Location], keys: PublicKeys | None = None) -> list[InstanceChain]:
    """The chains of all instances at these places. `keys`: verify the signatures. Raises OSError."""
    found: dict[str, dict[int, list[_Copy]]] = {}
    chains: dict[str, InstanceChain] = {}
    for place, root in enumerate(places):
        for instance, number, location, raw in _read_all(root):
            chain = chains.setdefault(instance, InstanceChain(instance))
            copies = found.setdefault(instance, {})
            try:
                copies.setdefault(number, []).append(_Copy(place, location, _decoded(raw, instance, number)))
            except CodecError as error:
                chain.faults.append(ChainFault(number, ChainFaultCode.DAMAGED, error.reason, location))
    for instance, chain in chains.items():
        _join(chain, {number: copies for number, copies in found[instance].items() if copies}, keys)
        if keys is not None:
            _check_signatures(chain, keys)
    return [chains[instance] for instance in sorted(chains)]


def _decoded(raw: bytes | OSError, instance: str, number: int) -> StoredDigest:
    if isinstance(raw, OSError):
        raise Corrupt(raw.strerror or str(raw))
    stored = decode_digest(raw)
    if (stored.digest.instance, stored.digest.number) != (instance, number):
        raise Corrupt(f"it is digest {stored.digest.number} of {stored.digest.instance!r}")
    return stored


def find_digests(root: Location, deep: bool = True) -> list[tuple[str, int, Location]]:
    """Instance, number and location of each digest at a place. `deep`: also of archive directories below it. Raises OSError."""
    pattern = f"{files.FOLDER}/*/*{files.SUFFIX}"
    locations: Iterable[Location]
    if isinstance(root, ObjectUrl):
        locations = (one.url for one in store_of(root).list(root if deep else root / files.FOLDER))
    else:
        locations = root.rglob(pattern) if deep else root.glob(pattern)
    return sorted(
        ((*found, location) for location in locations if (found := _named(location))), key=lambda one: one[:2]
    )


def _named(location: Location) -> tuple[str, int] | None:
    match = _KEY.match(location.key if isinstance(location, ObjectUrl) else location.as_posix())
    number = files.parse_name(match["name"]) if match else None
    return (match["instance"], number) if match and number and naming.is_instance(match["instance"]) else None


def _read_all(root: Location) -> Iterator[tuple[str, int, Location, bytes | OSError]]:
    named = find_digests(root)
    if isinstance(root, Path):
        yield from ((*one, _read_file(one[2])) for one in named)
        return
    with ThreadPoolExecutor(THREADS) as executor:
        for one, raw in zip(named, executor.map(files.read_raw, [location for *_, location in named]), strict=True):
            yield *one, raw


def _read_file(location: Location) -> bytes | OSError:
    """The bytes of a local digest; the error if it is no regular file, or cannot be read: then this one is damaged, and the others count."""
    try:
        return files.read_raw(location)
    except OSError as error:
        return error


def _join(chain: InstanceChain, copies: dict[int, list[_Copy]], keys: PublicKeys | None) -> None:
    """Make one chain of all copies, and note its faults."""
    damaged = {fault.number for fault in chain.faults}
    before = 0
    for number in sorted(copies):
        _note_hole(chain, before + 1, number - 1, damaged)
        before = number
        chosen = _choose(chain, copies[number], copies.get(number + 1, []), keys)
        chain.digests[number] = chosen
        _check_follows(chain, number, copies[number])
        for copy in copies[number]:
            _note_listed(chain, copy)
        for copy in copies[number]:
            _note_retired(chain, copy.stored.digest.retired)


def _note_hole(chain: InstanceChain, first: int, last: int, damaged: set[int]) -> None:
    """Note one fault for digests that are at no place, however many: a number may be a forgery."""
    if first > last or last - first + 1 <= sum(first <= number <= last for number in damaged):
        return
    name = (
        f"digest {first} of {chain.instance} is"
        if first == last
        else f"digests {first} to {last} of {chain.instance} are"
    )
    chain.faults.append(ChainFault(first, ChainFaultCode.MISSING, f"{name} missing"))


def _choose(
    chain: InstanceChain, copies: Sequence[_Copy], after: Sequence[_Copy], keys: PublicKeys | None
) -> StoredDigest:
    """The digest that the others were made from. Different copies are a fault of those that the next digest does not name, or whose
    signature is not valid."""
    different = {copy.stored.sha256 for copy in copies}
    named = {copy.stored.digest.previous for copy in after} & different
    right = [copy for copy in copies if copy.stored.sha256 in named] or list(copies)
    if keys is not None:
        right = [copy for copy in right if copy.stored.signature and keys.fault(copy.stored) is None] or right
    if len(different) > 1:
        wrong = [copy for copy in copies if copy not in right] or list(copies)
        for copy in wrong:
            reason = (
                f"digest {copy.stored.digest.number} of {chain.instance} differs from its copies at the other places"
            )
            chain.faults.append(ChainFault(copy.stored.digest.number, ChainFaultCode.CHANGED, reason, copy.location))
    return max(right, key=lambda copy: copy.stored.signature is not None).stored


def _check_follows(chain: InstanceChain, number: int, copies: Sequence[_Copy]) -> None:
    before = chain.digests.get(number - 1)
    if before is None and number > 1:
        return  # the hole is a fault of its own
    try:
        check_follows(before, chain.digests[number].digest)
    except Corrupt as error:
        reason = f"digest {number} of {chain.instance} does not follow digest {number - 1}: {error.reason}"
        chain.faults.append(ChainFault(number, ChainFaultCode.CHANGED, reason, copies[0].location))


def _note_listed(chain: InstanceChain, copy: _Copy) -> None:
    """Note what a copy lists: it was there then, so that what was recorded about its removal before did not happen. Also a copy that differs from the others counts: it may name an archive that must exist."""
    digest = copy.stored.digest
    chain.held.setdefault(copy.place, set()).add(digest.number)
    chain.listed_at.setdefault(copy.place, set()).update(one.sequence for one in digest.archives)
    for one in digest.archives:
        chain.retired.pop(one.sequence, None)
        entries = chain.listed.setdefault(one.sequence, [])
        if (digest.number, one) not in entries:
            entries.append((digest.number, one))


def _note_retired(chain: InstanceChain, retired: Iterable[RetiredArchive]) -> None:
    for gone in retired:
        chain.named |= {gone.where, *gone.kept}
        entries = chain.retired.setdefault(gone.sequence, [])
        if gone not in entries:
            entries.append(gone)


def _check_signatures(chain: InstanceChain, keys: PublicKeys) -> None:
    """A valid signature covers all digests before it, because each one names the SHA-256 of the one before."""
    for number, stored in chain.digests.items():
        if reason := keys.fault(stored):
            chain.faults.append(
                ChainFault(number, ChainFaultCode.SIGNATURE, f"digest {number} of {chain.instance}: {reason}")
            )
        elif stored.signature:
            chain.signed = number
    newest = max(chain.digests, default=0)
    if newest > chain.signed and not any(fault.code is ChainFaultCode.SIGNATURE for fault in chain.faults):
        first = chain.signed + 1
        unsigned = f"digest {newest}" if first == newest else f"digests {first} to {newest}"
        reason = f"{unsigned} of {chain.instance}: not signed; `deedbox ship` with ship.sign_key signs them by the next digest"
        chain.faults.append(ChainFault(newest, ChainFaultCode.UNSIGNED, reason))
