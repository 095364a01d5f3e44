"""The events of a file that is imported. Every part that is not an event is reported and counted."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from codec.counted import counted
from codec.event import Event
from codec.gap import Gap
from consumer.cli.printing import report_error
from consumer.convert.formats import FileFormat
from consumer.convert.imports import events_of
from consumer.errors import DeedboxError

BATCH_BYTES = 8 << 20
HEAD_PARTS = 100  # the number of parts that decide whether a file has the format that was named
HEAD_FAULTS_MIN, HEAD_FAULTS_RATIO = 3, 9  # a line of any file can be JSON by chance
FAULTS_SHOWN = 10  # of faults in a row, this many are reported; the others are counted


class ImportedEvents:
    """The events of one file, read once. `archived` is counted by the caller, `gaps` here."""

    def __init__(self, path: Path, name: str, format: FileFormat) -> None:
        self.archived = self.gaps = 0
        self._path, self._name, self._format = path, name, format
        self._row: list[Gap] = []  # faults in a row: those that were reported, and the last one
        self._unreported = 0

    def __iter__(self) -> Iterator[Event]:
        """The events. Raises DeedboxError before the first one if nearly nothing at the beginning of the file is an event."""
        parts = events_of(self._path, self._format)
        for part in chain(self._head(parts), parts):
            if isinstance(part, Gap):
                self._report(part)
                continue
            self._end_row()
            yield part
        self._end_row()

    def _head(self, parts: Iterator[Event | Gap]) -> list[Event | Gap]:
        """The beginning of the file, as much as is needed to know whether it has this format."""
        head: list[Event | Gap] = []
        size = 0
        while len(head) < HEAD_PARTS and size < BATCH_BYTES and (part := next(parts, None)) is not None:
            head.append(part)
            size += 0 if isinstance(part, Gap) else len(part.body)
        faults = [part for part in head if isinstance(part, Gap)]
        if len(faults) >= HEAD_FAULTS_MIN and len(faults) > HEAD_FAULTS_RATIO * (len(head) - len(faults)):
            what = (
                f"{self._name}: is not a {self._format} file: {len(faults)} of its first {len(head)} parts are not "
                f"events, the first one at {faults[0].offset}: {faults[0].kind}: {faults[0].reason}; nothing of it was imported"
            )
            raise DeedboxError(what, "if only its beginning is damaged, remove the beginning and import the rest")
        return head

    def _report(self, fault: Gap) -> None:
        """Report a fault; of many in a row, only the first ones."""
        self.gaps += 1
        if len(self._row) < FAULTS_SHOWN:
            report_error(
                f"{self._name}: at {fault.offset}: {counted(fault.size, 'byte')}: {fault.kind}: {fault.reason}"
            )
            self._row.append(fault)
        else:
            self._unreported += 1
            self._row[FAULTS_SHOWN:] = [fault]

    def _end_row(self) -> None:
        """Report the number of faults of a row that were not reported one by one."""
        if self._unreported:
            end = self._row[-1].offset + self._row[-1].size
            report_error(f"{self._name}: up to {end}: {counted(self._unreported, 'more part')} skipped in a row")
        self._unreported = 0
        self._row.clear()
