"""The URLs of destinations, as people write them."""

from collections.abc import Sequence
from pathlib import Path

from consumer.errors import Exit, Fatal
from consumer.objects.url import ObjectUrl, local_path


def destination_urls(texts: Sequence[str], directory: Path) -> list[ObjectUrl]:
    """The destinations of one archive directory. Raises Fatal for a text that is no URL, or that leads into the directory itself."""
    found: list[ObjectUrl] = []
    for text in texts:
        url = _parse(text)
        if url.scheme == "file" and _is_inside(Path(url.bucket).resolve(), directory.resolve()):
            what = f"destination {text!r} is in the archive directory {directory}"
            raise Fatal(Exit.SETTINGS, what, "ship to another directory, on another disk")
        if any(_is_same(url, other) for other in found):
            raise Fatal(Exit.SETTINGS, f"destination {text!r} is named twice", "name it once")
        found.append(url)
    return found


def _is_inside(place: Path, directory: Path) -> bool:
    """Whether a place is the directory or below it, also under the name of another mount."""
    return any(one == directory or _is_same_file(one, directory) for one in (place, *place.parents))


def _is_same(url: ObjectUrl, other: ObjectUrl) -> bool:
    if url.scheme == other.scheme == "file":
        return url == other or _is_same_file(Path(url.bucket), Path(other.bucket))
    return url == other


def _is_same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False  # one of them does not exist, or its disk does not answer: it is asked again before anything is removed


def _parse(text: str) -> ObjectUrl:
    try:
        if (path := local_path(text)) is not None:
            return ObjectUrl.of_directory(path)
        return ObjectUrl.parse(text)
    except ValueError as error:
        raise Fatal(Exit.SETTINGS, f"destination {error}", "name a URL such as s3://BUCKET/PREFIX") from error
