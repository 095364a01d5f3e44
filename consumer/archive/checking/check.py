"""Check one archive at one place, by itself. The unit of work that other threads and processes do."""

import errno
from dataclasses import dataclass
from pathlib import Path

from consumer.archive.checking.archive_check import check_archive
from consumer.archive.checking.fault_code import FaultCode
from consumer.archive.checking.verdict import Verdict
from consumer.archive.location import Location
from consumer.archive.reading.hashed_source import HashedSource
from consumer.archive.reading.object_source import ObjectSource
from consumer.archive.reading.reader import ArchiveFile, ArchiveReader, open_archive
from consumer.archive.reading.sha256 import sha256_of
from consumer.archive.reading.tombstones import Tombstones
from consumer.errors import DeedboxError
from consumer.objects.errors import Replaced
from consumer.objects.stores import store_of
from consumer.objects.url import Listed, ObjectUrl

SHA256, ORIGINAL = "sha256", "original"  # attributes of an object, set when it was shipped


@dataclass(frozen=True, slots=True)
class Check:
    """What to check. `deep`: read and decode every byte; otherwise the head and the footer. `place`: the number of the place it is at."""

    location: Location
    deep: bool = True
    place: int = 0


def check(wanted: Check) -> Verdict:
    """The verdict on one archive, checked by itself."""
    try:
        verdict = _checked(wanted.location, wanted.deep)
    except (OSError, DeedboxError) as error:
        verdict = Verdict(wanted.location, deep=wanted.deep)
        verdict.vanished = isinstance(error, FileNotFoundError)
        verdict.fault(FaultCode.UNREADABLE, None, str(getattr(error, "strerror", None) or error))
    verdict.place = wanted.place
    return verdict


def _checked(location: Location, deep: bool) -> Verdict:
    if isinstance(location, Path):
        with open_archive(location) as archive:
            return _check_file(archive, deep)
    try:
        return _check_object(location, deep)
    except Replaced:  # the archive was rewritten, and shipped again
        return _check_object(location.listed_as(None), deep)


def _check_file(archive: ArchiveFile, deep: bool) -> Verdict:
    verdict = check_archive(archive, Tombstones.of(archive), deep)
    verdict.file = archive.file
    if deep and not archive.live:
        verdict.sha256 = sha256_of(archive)
    verdict.original = verdict.rewritten_from or verdict.sha256
    return verdict


def _check_object(url: ObjectUrl, deep: bool) -> Verdict:
    """The cache of footers is not used: a cache never replaces a check."""
    listed, attributes = _asked(url)
    source = ObjectSource(url.listed_as(listed))
    whole = HashedSource(source)
    with ArchiveReader(whole if deep else source) as archive:
        verdict = check_archive(archive, Tombstones.of(archive), deep)
        stated = attributes.get(SHA256)
        verdict.sha256 = whole.sha256() if deep else stated
    if stated not in (None, verdict.sha256):
        reason = f"the SHA-256 of the object is {verdict.sha256}, its attribute says {stated}"
        verdict.fault(FaultCode.ARCHIVE_CHANGED, None, reason, stated)
    verdict.original = verdict.rewritten_from or attributes.get(ORIGINAL) or verdict.sha256
    return verdict


def _asked(url: ObjectUrl) -> tuple[Listed, dict[str, str]]:
    """What the storage says of the object now, and its attributes. Raises OSError."""
    found = store_of(url).head(url)
    if found is None:
        raise FileNotFoundError(errno.ENOENT, "there is no object of this name", str(url))
    beside = url.listed.beside if isinstance(url.listed, Listed) else None
    return Listed(found[0].size, found[0].etag, beside), found[1]
