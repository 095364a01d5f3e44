"""Where the archives of a directory go. A value; nothing here looks at a disk."""

from dataclasses import dataclass
from pathlib import Path

from consumer.archive import naming


@dataclass(frozen=True, slots=True)
class Layout:
    """Where archives go: the directory, the template of sealed names, the compression level."""

    directory: Path
    template: str = naming.TEMPLATE
    level: int = 1
