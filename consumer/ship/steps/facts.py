"""The facts about an archive that a run step gives to its program, as variables of its environment."""

from pathlib import Path

from codec.event import format_time
from consumer.archive.reading.summary import State, summarize
from consumer.archive.writing.sealing import digest
from consumer.errors import DeedboxError
from consumer.ship.steps.variables import PREFIX


def facts_of(path: Path) -> dict[str, str]:
    """The variables of a sealed archive. Raises OSError, and DeedboxError if it is damaged."""
    found = summarize(path)
    if found.state is not State.SEALED or found.id is None:
        raise DeedboxError(f"{path}: {found.fault or 'not sealed'}", "run repair first")
    values = {
        "PATH": str(path), "NAME": path.name, "ID": str(found.id), "INSTANCE": found.id.instance,
        "SEQUENCE": str(found.id.sequence), "EVENTS": str(found.events), "BATCHES": str(found.batches),
        "BYTES": str(found.size), "SHA256": digest(path), "FIRST": _time(found.first_arrived_us),
        "LAST": _time(found.last_arrived_us),
    }  # fmt: skip
    return {f"{PREFIX}{name}": value for name, value in values.items()}


def _time(time_us: int | None) -> str:
    return "" if time_us is None else format_time(time_us)
