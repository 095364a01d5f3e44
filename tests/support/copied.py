"""A copy of an archive directory in object storage, made without the shipper: for archives that it refuses, such as rewritten ones of tests."""

from pathlib import Path

from consumer.archive.listing import find_archives, id_of
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from consumer.ship.side_files import side_files


def copy_to(directory: Path, prefix: ObjectUrl) -> None:
    """Copy the archives to their places below the prefix, and put what belongs to them beside them, as the shipper does."""
    store = store_of(prefix)
    for path in find_archives([directory]):
        url, id = prefix / str(path.relative_to(directory)), id_of(path)
        assert id is not None
        for suffix, files in side_files(directory, path, id).items():
            raw = b"".join(file.read_bytes() for file in files)
            store.put(url.with_name(f"{id}{suffix}"), raw, {})
        store.put(url, path.read_bytes(), {})
