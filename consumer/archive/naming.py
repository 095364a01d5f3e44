"""Names of archives. Pure; it reads no disk.

Invariants: `parse_sealed` reads every name that `sealed_name` makes. Sequences are zero-padded, so that the names of one
instance sort in the order in which the archives were written.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath

from codec.errors import Corrupt
from codec.event import EPOCH, TIME_US_MAX, TIME_US_MIN, parse_time
from consumer.archive.location import Location

SUFFIX = ".kvp.zst"
OPEN_SUFFIX = ".kvp.zst.open"
TORN_SUFFIX = ".torn"
DAMAGED_SUFFIX = ".damaged"
TAIL = "{first}-{last}-{instance}-{sequence}" + SUFFIX
TEMPLATE = "%Y%m%d/" + TAIL
DIRECTORIES_MAX = 5  # between the archive directory and a sealed archive: readers look for tombstones up to this number of levels above it

SEQUENCE_MAX = 10**18 - 1  # fits into every field that holds a sequence

_INSTANCE = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_TIME = r"\d{8}T\d{6}\.\d{6}Z"
_SEALED = re.compile(
    rf"(?P<first>{_TIME})-(?P<last>{_TIME})-(?P<instance>{_INSTANCE})-(?P<sequence>\d{{8,18}})\.kvp\.zst\Z",
    re.ASCII,
)
_OPEN = re.compile(rf"(?P<instance>{_INSTANCE})-(?P<sequence>\d{{8,18}})\.kvp\.zst\.open", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class ArchiveId:
    """An archive. The id is unique within a directory, permanently."""

    instance: str
    sequence: int

    def __str__(self) -> str:
        return f"{self.instance}-{self.sequence:08d}"


INSTANCE_RULE = "letters, digits, '.', '_' and '-', at most 64, beginning with a letter or digit"


def is_instance(name: str) -> bool:
    """Whether a name is valid for an instance: it must be safe as a part of a file name."""
    return re.fullmatch(_INSTANCE, name) is not None


def instance_from(host: str) -> str:
    """A valid name of an instance, made from the host name."""
    name = re.sub(r"[^A-Za-z0-9._-]", "-", host).lstrip("._-")[:64]
    return name or "deedbox"


def lock_path(directory: Path, instance: str) -> Path:
    """The file that a running instance locks."""
    return directory / f"{instance}.lock"


def open_name(archive: ArchiveId) -> str:
    """The name of an archive that is being written."""
    return f"{archive}{OPEN_SUFFIX}"


def parse_open(path: Location) -> ArchiveId | None:
    """The id in the name of an open archive; None for another name."""
    return _archive_id(_OPEN.fullmatch(path.name))


def parse_sealed(path: Location) -> ArchiveId | None:
    """The id in the name of a sealed archive; None for another name."""
    return _archive_id(_SEALED.search(path.name)) if path.name.endswith(SUFFIX) else None


def first_arrival_us(path: Location) -> int | None:
    """When the first event of a sealed archive arrived, by its name, in microseconds since 1970; None for another name."""
    return _arrival_us(path, "first")


def last_arrival_us(path: Location) -> int | None:
    """When the last event of a sealed archive arrived, by its name, in microseconds since 1970; None for another name."""
    return _arrival_us(path, "last")


def _arrival_us(path: Location, which: str) -> int | None:
    match = _SEALED.search(path.name)
    try:
        return parse_time(match[which]) if match else None
    except Corrupt:
        return None


def _archive_id(match: re.Match[str] | None) -> ArchiveId | None:
    return ArchiveId(match["instance"], int(match["sequence"])) if match else None


def _instant(time_us: int) -> datetime:
    # A damaged head may hold any number.
    return EPOCH + timedelta(microseconds=min(max(time_us, TIME_US_MIN), TIME_US_MAX))


def _stamp(time_us: int) -> str:
    return _instant(time_us).isoformat(timespec="microseconds").translate({45: None, 58: None})[:22] + "Z"


def template_fault(template: str) -> str | None:
    """Why a template for the names of sealed archives is invalid; None if it is valid.

    A template may have directories (strftime, by the first arrival) and text before the fixed part.
    """
    if not template.endswith(TAIL):
        return f"must end in {TAIL!r}"
    if ".." in PurePosixPath(template).parts or PurePosixPath(template).is_absolute():
        return "must stay inside of the archive directory"
    if "{" in template.removesuffix(TAIL) or "\0" in template:
        return f"accepts no fields before {TAIL!r}"
    levels = len(sealed_name(template, ArchiveId("one", 1), 0, 0).parts) - 1  # a directive may hold a slash: %D
    if levels > DIRECTORIES_MAX:
        return f"makes {levels} directories, {DIRECTORIES_MAX} at most: readers look for deletions no further above an archive"
    return None


def sealed_name(template: str, archive: ArchiveId, first_us: int, last_us: int) -> PurePosixPath:
    """The path of a sealed archive below its directory; times are those of the first and last arrival."""
    head = _instant(first_us).strftime(template.removesuffix(TAIL))
    tail = TAIL.format(
        first=_stamp(first_us),
        last=_stamp(last_us),
        instance=archive.instance,
        sequence=f"{archive.sequence:08d}",
    )
    return PurePosixPath(head + tail)
