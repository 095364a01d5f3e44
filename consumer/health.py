"""The health file: what the service last proved, for `deedbox health` and whatever probes by it.

Invariant: the file has a fixed size and is written in place, so that it can be kept on a disk that is full.
"""

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import aiofiles.os
import orjson

from consumer import log
from consumer.archive import log_events
from consumer.disk.durable import open_regular, read_regular

FILE_BYTES = 1024
REASON_MAX = 350  # characters, of which each may be escaped, so that all fits into the file
STALE_S = 15.0
UNACKED_S_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment on both clocks: `wall` since 1970, `boot` since the machine started, which no operator sets."""

    wall: float
    boot: float
    boot_id: str

    @classmethod
    def now(cls) -> "Instant":
        """The present."""
        return cls(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), boot_id())

    def since(self, earlier: "Instant") -> float:
        """Seconds between the two: by the clock that cannot step, if both are of one start of one machine."""
        if self.boot_id and self.boot_id == earlier.boot_id:
            return self.boot - earlier.boot
        return self.wall - earlier.wall


def boot_id() -> str:
    """Which start of which machine this is; empty if the kernel does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class Health:
    """Writes the file of one instance."""

    def __init__(self, directory: Path, instance: str) -> None:
        self.path = health_path(directory, instance)

    async def write(self, state: dict[str, object]) -> None:
        """Say how things are now. A disk that refuses is no reason to stop: the file goes stale, and that says it."""
        reason = str(state.get("reason", "")).encode("ascii", "backslashreplace").decode()[:REASON_MAX]
        raw = orjson.dumps(state | {"reason": reason, "at": asdict(Instant.now())}).ljust(FILE_BYTES - 1) + b"\n"
        try:
            await _write(self.path, raw)
        except OSError as error:
            log.emit(log_events.RECOVERY_DEFERRED, path=str(self.path), reason=str(error))


@aiofiles.os.wrap
def _write(path: Path, raw: bytes) -> None:
    fd = open_regular(path, os.O_WRONLY | os.O_CREAT)
    try:
        os.pwrite(fd, raw, 0)
    finally:
        os.close(fd)


def health_path(directory: Path, instance: str) -> Path:
    """Where the health of an instance is kept."""
    return directory / f"{instance}.health"


def _others(path: Path) -> str:
    """Which instances have run in the directory of a health file that does not exist."""
    names = sorted(other.stem for other in path.parent.glob("*.health"))
    return (
        f"others have: {', '.join(names[:10])}; name one with --instance"
        if names
        else "name the --dir and --instance of `run`"
    )


def judge(path: Path, now: Instant) -> tuple[bool, str]:
    """Whether the service is well, and a line that says why."""
    try:
        state = orjson.loads(read_regular(path, FILE_BYTES))
        age_s, unacked_age_s = now.since(Instant(**state["at"])), float(state["unacked_age_s"])
        text = f"{state['state']}, {state['archived']} archived, {state['held']} held, oldest {unacked_age_s} s"
        text += f": {state['reason']}" if state.get("reason") else ""
    except FileNotFoundError:
        return False, f"{path} does not exist: no service of this instance has run in {path.parent}; {_others(path)}"
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        return False, f"{path} cannot be read: {error!r}"
    if state["state"] == "stopped":
        return False, text
    if age_s > STALE_S:
        return False, f"last sign of life {age_s:.0f} s ago ({text})"
    if age_s < -STALE_S:
        return False, f"last sign of life {-age_s:.0f} s in the future: the clocks differ ({text})"
    if unacked_age_s > UNACKED_S_MAX:
        return False, f"a delivery is held for {unacked_age_s:.0f} s without being archived ({text})"
    return state["state"] == "consuming", text
