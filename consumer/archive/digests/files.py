"""The files of digests in an archive directory: `digests/<instance>/<number>.digest`. Names, and the content of one file."""

import errno
import re
from pathlib import Path

from codec.digest import StoredDigest, decode_digest
from codec.errors import CodecError, Corrupt
from codec.limits import DIGEST_BYTES_MAX
from consumer.archive import naming
from consumer.archive.location import Location
from consumer.disk.durable import read_regular
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl

FOLDER = "digests"
SUFFIX = ".digest"
LOCK = ".lock"  # of the process that appends, in the folder of the instance
_NAME = re.compile(rf"(\d{{8,18}}){re.escape(SUFFIX)}", re.ASCII)


def folder(directory: Path, instance: str) -> Path:
    """The directory of the digests of an instance."""
    return directory / FOLDER / instance


def digest_name(number: int) -> str:
    """The name of a digest in its folder."""
    return f"{number:08d}{SUFFIX}"


def parse_name(name: str) -> int | None:
    """The number in the name of a digest; None for another name."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match and digest_name(int(match[1])) == name else None


def instances(directory: Path) -> list[str]:
    """The instances that have a folder of digests. Raises OSError."""
    try:
        found = [path for path in (directory / FOLDER).iterdir() if path.is_dir()]
    except FileNotFoundError:
        return []
    return sorted(path.name for path in found if naming.is_instance(path.name))


def numbered(directory: Path, instance: str) -> list[tuple[int, Path]]:
    """The digests of an instance by number. Raises OSError."""
    try:
        paths = list(folder(directory, instance).iterdir())
    except FileNotFoundError:
        return []
    return sorted((number, path) for path in paths if (number := parse_name(path.name)) is not None)


def read_digest(path: Path) -> StoredDigest:
    """One digest. Raises CodecError, also for what is no regular file, and OSError."""
    try:
        raw = read_raw(path)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ELOOP):  # see open_regular
            raise Corrupt(error.strerror or str(error)) from error
        raise
    return decode_digest(raw)


def read_raw(location: Location) -> bytes:
    """The bytes of a digest, one more than allowed at most. Raises OSError."""
    if isinstance(location, ObjectUrl):
        return store_of(location).read(location, 0, DIGEST_BYTES_MAX + 1)
    return read_regular(location, DIGEST_BYTES_MAX + 1)


def newest(directory: Path, instance: str) -> StoredDigest | None:
    """The digest with the highest number, without a look at the others; None if there is none, or if it cannot be read. Raises OSError."""
    found = numbered(directory, instance)
    try:
        return read_digest(found[-1][1]) if found else None
    except CodecError:
        return None
