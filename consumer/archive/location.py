"""Location: where an archive, or a set of archives, is: a local path or the URL of an object.

Both have `name`, `parent` and `parents`. Code that only reads archives accepts a Location; code that writes them needs a Path.
"""

import os
from pathlib import Path

from consumer.errors import Exit, Fatal
from consumer.objects.url import ObjectUrl, is_url, local_path

Location = Path | ObjectUrl


def parse_location(text: str | os.PathLike[str]) -> Location:
    """The location of a text: a URL such as `s3://bucket/prefix`, or a path; `file:///x` is the path `/x`. Raises ValueError."""
    if isinstance(text, os.PathLike) or not is_url(text):
        return Path(text)
    path = local_path(text)
    return ObjectUrl.parse(text) if path is None else Path(path)


def local_only(location: Location, what: str) -> Path:
    """The path of a location. Raises Fatal for a URL: `what` changes archives, and objects are changed where they come from."""
    if isinstance(location, Path):
        return location
    raise Fatal(
        Exit.SETTINGS,
        f"{location}: {what} works on local archives only",
        "give the archive directory itself, or a directory that `deedbox fetch` has restored",
    )
