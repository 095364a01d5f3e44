"""Where archives are written. A value; it reads no disk."""

from dataclasses import dataclass
from pathlib import Path

from consumer.archive import naming


@dataclass(frozen=True, slots=True)
class Layout:
    """Where and how archives are written: the directory, the template of sealed names, the compression level of zstd."""

    directory: Path
    template: str = naming.TEMPLATE
    level: int = 1
