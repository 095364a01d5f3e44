"""The health file: what the service last proved, for `deedbox health` and whatever probes by it.

Invariant: the file has a fixed size and is written in place, so that it can be kept on a disk that is full.
"""

import os
import time
from pathlib import Path

import aiofiles
import orjson

from consumer import log
from consumer.archive.durable import open_regular, read_regular

FILE_BYTES = 1024
STALE_S = 15.0


class Health:
    """Writes the file of one instance."""

    def __init__(self, directory: Path, instance: str) -> None:
        self.path = health_path(directory, instance)

    async def write(self, state: dict[str, object]) -> None:
        """Say how things are now. A disk that refuses is no reason to stop: the file goes stale, and that says it."""
        raw = orjson.dumps(state | {"at": time.time()}).ljust(FILE_BYTES - 1) + b"\n"
        try:
            async with aiofiles.open(self.path, "r+b", opener=_open) as file:
                await file.write(raw)
        except OSError as error:
            log.emit("recovery_deferred", path=str(self.path), reason=str(error))


def _open(path: str, flags: int) -> int:
    return open_regular(Path(path), flags | os.O_CREAT)


def health_path(directory: Path, instance: str) -> Path:
    """Where the health of an instance is kept."""
    return directory / f"{instance}.health"


def judge(path: Path, now: float) -> tuple[bool, str]:
    """Whether the service is well, and a line that says why."""
    try:
        state = orjson.loads(read_regular(path))
        age_s = now - state["at"]
        text = (
            f"{state['state']}, {state['archived']} archived, {state['held']} held, oldest {state['unacked_age_s']} s"
        )
    except FileNotFoundError:
        return False, f"{path} does not exist: the service has not run here"
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        return False, f"{path} cannot be read: {error!r}"
    if age_s > STALE_S:
        return False, f"last sign of life {age_s:.0f} s ago ({text})"
    return state["state"] == "consuming", text
