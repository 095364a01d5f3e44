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
        if url.scheme == "file" and Path(url.bucket).resolve().is_relative_to(directory.resolve()):
            what = f"destination {text!r} is in the archive directory {directory}"
            raise Fatal(Exit.SETTINGS, what, "ship to another directory, on another disk")
        if url in found:
            raise Fatal(Exit.SETTINGS, f"destination {text!r} is named twice", "name it once")
        found.append(url)
    return found


def _parse(text: str) -> ObjectUrl:
    try:
        if (path := local_path(text)) is not None:
            return ObjectUrl.of_directory(path)
        return ObjectUrl.parse(text)
    except ValueError as error:
        raise Fatal(Exit.SETTINGS, f"destination {error}", "name a URL such as s3://BUCKET/PREFIX") from error
