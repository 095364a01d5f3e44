"""The health file: the last known state of the service, for `deedbox health` and for probes.

Invariant: the file has a fixed size and is written in place, so that it can be written on a full disk.
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
REASON_MAX = 350  # characters; the file has space for them even if each one is escaped
STALE_S = 15.0  # an older file means that the service does not run, or that its disk does not answer
UNACKED_S_MAX = 60.0  # a delivery that is held longer without being archived means that there is no progress


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment on two clocks, in seconds: `wall` since 1970; `boot` since the machine started, a clock that cannot be set."""

    wall: float
    boot: float
    boot_id: str

    @classmethod
    def now(cls) -> "Instant":
        """The present moment."""
        return cls(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), boot_id())

    def since(self, earlier: "Instant") -> float:
        """Seconds since an earlier moment: by the `boot` clock if the machine has not restarted in between, else by `wall`."""
        if self.boot_id and self.boot_id == earlier.boot_id:
            return self.boot - earlier.boot
        return self.wall - earlier.wall


def boot_id() -> str:
    """An identifier of this start of this machine; empty if the kernel has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class Health:
    """Writes the health file of one instance."""

    def __init__(self, directory: Path, instance: str) -> None:
        self.path = health_path(directory, instance)

    async def write(self, state: dict[str, object]) -> None:
        """Write the present state. If the disk refuses the write, the service continues, and the file becomes stale."""
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
    """The path of the health file of an instance."""
    return directory / f"{instance}.health"


def _advice(path: Path) -> str:
    """The action for a health file that does not exist: the instances that have one."""
    names = sorted(other.stem for other in path.parent.glob("*.health"))
    return (
        f"these instances have: {', '.join(names[:10])}; choose one with --instance"
        if names
        else "give the --dir and --instance of `run`"
    )


def judge(path: Path, now: Instant) -> tuple[bool, str]:
    """Whether the service makes progress, and one line with the state and the reason."""
    try:
        state = orjson.loads(read_regular(path, FILE_BYTES))
        age_s, unacked_age_s = now.since(Instant(**state["at"])), float(state["unacked_age_s"])
        text = f"{state['state']}, {state['archived']} archived, {state['held']} held"
        text += f", the oldest for {unacked_age_s} s" if state["held"] else ""
        text += f", replay: {state['replay']}" if state.get("replay") else ""
        text += f": {state['reason']}" if state.get("reason") else ""
    except FileNotFoundError:
        return False, f"{path} does not exist: no service of this instance has run in {path.parent}; {_advice(path)}"
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        return False, f"{path} cannot be read: {error!r}"
    if state["state"] == "stopped":
        return False, text
    if age_s > STALE_S:
        return (
            False,
            f"the health file is {age_s:.0f} s old: the service does not run, or its disk does not answer ({text})",
        )
    if age_s < -STALE_S:
        return False, f"the health file is {-age_s:.0f} s in the future: the clocks of two machines differ ({text})"
    if unacked_age_s > UNACKED_S_MAX:
        return False, f"a delivery has been held for {unacked_age_s:.0f} s and is not archived ({text})"
    return state["state"] == "consuming", text
