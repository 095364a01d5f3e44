"""The file formats of import and export, and how a file's first bytes show its format."""

from enum import StrEnum
from pathlib import Path

from codec.foreign import shoebox, theia
from codec.parts import PREFIX, part_kind
from codec.profiles import KEY_BYTES, RECORD_BYTES
from consumer.convert.input_file import InputFile

EVENT_MEMBER = "deedbox.event"  # in shoebox metadata: the members of an event that the format has no field for, as JSON


class FileFormat(StrEnum):
    """A format by its name on the command line. ARCHIVE is detected only; it cannot be imported or exported."""

    JSONL = "jsonl"
    SHOEBOX = "shoebox"
    SHOEBOX_JSON = "shoebox-json"
    THEIA = "theia"
    CLOUDINIT = "cloudinit"
    PARQUET = "parquet"
    ARCHIVE = "archive"


def detect_format(path: Path) -> FileFormat | None:
    """The format that the first bytes of a file show; None if they show none. Raises OSError."""
    with InputFile(path) as raw:
        start = raw[:RECORD_BYTES]
        whole_records = len(raw) > 0 and len(raw) % RECORD_BYTES == 0
    if part_kind(start[: PREFIX.size]) is not None:
        return FileFormat.ARCHIVE
    if start.startswith(shoebox.MAGICS):
        return FileFormat.SHOEBOX
    if start.startswith(theia.MAGIC):
        return FileFormat.THEIA
    if whole_records and b"\0" in start[:KEY_BYTES].lstrip(b"\0"):
        return FileFormat.CLOUDINIT
    return FileFormat.JSONL if start.startswith((b"{", b"[")) else None
