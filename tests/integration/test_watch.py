"""`watch` while a writer rotates and `watch` is killed: every line at least once, none of another file.

The suite runs it for half a minute. By hand, for as long as is wanted: python -m tests.integration.test_watch 600
"""

import asyncio
import gzip
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import aiormq

from consumer.demo.broker import broker
from tests.support.process import Watch

SHORT_S, SHORT_KILLS = 20.0, 2
KILLS = 5
KEPT = 120  # rotated files; older ones are removed
PLAIN_S = (
    45.0  # after its last write a file is compressed; a reader that is stopped has lost what it had not read by then
)
SEED = 20261121
KINDS = ("rename", "late", "copytruncate", "double", "gzip")
QUIET_S = 20.0  # after which nothing more is expected
OTHERS = ("app-error.log", "app.log.audit", "app.log.lock", "app2.log", "app-20200101.log.gz", "other.log.1")


@dataclass
class Writer:
    """One program that writes a log, and rotates it itself: between a copy and its truncation it writes nothing."""

    path: Path
    seed: int
    written: int = 0
    rotations: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._file = self.path.open("ab", buffering=0)

    def run(self, seconds: float) -> None:
        """Write and rotate for this time; then write a little more, and close."""
        began = time.monotonic()
        rotate_at = 1.0
        kinds: list[str] = []
        while (now := time.monotonic() - began) < seconds:
            self._write(self._random.randint(1, 40))
            self._disturb()
            if now > rotate_at:
                kinds = kinds or self._random.sample(KINDS, len(KINDS))  # each kind is used, also on a slow machine
                kind = kinds.pop()
                {
                    "rename": self._rename, "late": self._late, "copytruncate": self._copytruncate,
                    "double": self._double, "gzip": self._gzip,
                }[kind]()  # fmt: skip
                self.rotations[kind] += 1
                rotate_at = now + self._random.uniform(1.0, 2.5)
            time.sleep(self._random.uniform(0.0, 0.05))
        self._file.close()

    def _write(self, count: int) -> None:
        lines = []
        for _ in range(count):
            lines.append(b"line %08d %s\n" % (self.written, b"x" * self._random.randrange(200)))
            self.written += 1
        raw = b"".join(lines)
        half = self._random.randrange(len(raw))
        self._file.write(raw[:half])  # a line is seen half
        self._file.write(raw[half:])

    def _disturb(self) -> None:
        """Files of others, newer than everything else."""
        other = self.path.with_name(self._random.choice(OTHERS))
        with other.open("ab") as file:
            file.write(b"other %s\n" % other.name.encode())

    def _shift(self) -> None:
        """app.log.1 becomes app.log.2, and so on, compressed or not; the oldest is removed."""
        for number in range(KEPT, 0, -1):
            for suffix in ("", ".gz"):
                old = self.path.with_name(f"{self.path.name}.{number}{suffix}")
                if old.exists() and number == KEPT:
                    old.unlink()
                elif old.exists():
                    old.rename(self.path.with_name(f"{self.path.name}.{number + 1}{suffix}"))

    def _rename(self) -> None:
        self._shift()
        self.path.rename(self.path.with_name(f"{self.path.name}.1"))
        self._file.close()
        self._file = self.path.open("ab", buffering=0)

    def _late(self) -> None:
        """A writer that learns of the rotation later."""
        self._shift()
        self.path.rename(self.path.with_name(f"{self.path.name}.1"))
        self._write(5)
        self._file.close()
        self._file = self.path.open("ab", buffering=0)

    def _double(self) -> None:
        self._rename()
        self._write(5)
        self._rename()

    def _copytruncate(self) -> None:
        self._shift()
        copy = self.path.with_name(f"{self.path.name}.1")
        copy.write_bytes(self.path.read_bytes())
        os.truncate(self.path, 0)

    def _gzip(self) -> None:
        """Compress what was rotated long enough ago, as with delaycompress."""
        for number in range(3, KEPT + 1):
            plain = self.path.with_name(f"{self.path.name}.{number}")
            if plain.exists() and time.time() - plain.stat().st_mtime > PLAIN_S:
                with gzip.open(f"{plain}.gz", "wb") as packed:
                    packed.write(plain.read_bytes())
                plain.unlink()


@dataclass
class Outcome:
    """The received lines, and the actions in the meantime."""

    writer: Writer
    bodies: Counter[bytes] = field(default_factory=Counter)
    ids: dict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    starts: int = 0

    @property
    def missing(self) -> list[int]:
        """The numbers of the lines that did not come."""
        came = {int(found[1]) for body in self.bodies if (found := re.match(rb"line (\d{8}) ", body))}
        return sorted(set(range(self.writer.written)) - came)

    @property
    def foreign(self) -> list[bytes]:
        """Received lines that this writer did not write: of another file, or bytes of a compressed one."""
        return [body for body in self.bodies if not re.fullmatch(rb"line \d{8} x*", body)]

    def __str__(self) -> str:
        names = sum(len(bodies) > 1 for bodies in self.ids.values())
        return (
            f"{self.writer.written} lines, {sum(self.writer.rotations.values())} rotations {dict(self.writer.rotations)}, "
            f"{self.starts - 1} kills: {len(self.missing)} missing, {len(self.foreign)} of other files, "
            f"{sum(self.bodies.values()) - len(self.bodies)} came again, {len(self.ids) - len(self.bodies)} of them under "
            f"another id, {names} ids stand for two lines"
        )


async def soak(url: str, name: str, directory: Path, seconds: float, kills: int, seed: int = SEED) -> Outcome:
    """Write, rotate and kill for this time, and wait until no line arrives any more."""
    path = directory / "app.log"
    outcome = Outcome(Writer(path, seed))
    watch = Watch(directory / "watch.out", str(path), "--url", url, "--routing-key", name, "--from-start")

    async def keep(message: aiormq.abc.DeliveredMessage) -> None:
        outcome.bodies[message.body] += 1
        outcome.ids[message.header.properties.message_id or ""].add(message.body)

    async with aiormq.connect(url) as connection:
        channel = await connection.channel()
        await channel.queue_declare(name)
        await channel.basic_consume(name, keep, no_ack=True)
        with watch:
            outcome.starts = 1
            await asyncio.to_thread(watch.wait_for, "watching")
            writing = asyncio.create_task(asyncio.to_thread(outcome.writer.run, seconds))
            for _ in range(kills):
                await asyncio.sleep(seconds / (kills + 1))
                watch.kill()
                await asyncio.sleep(random.Random(seed + outcome.starts).uniform(0.0, 1.5))
                watch.start()
                outcome.starts += 1
                await asyncio.to_thread(watch.wait_for, "watching", outcome.starts)
            await writing
            came, since = -1, time.monotonic()
            while outcome.missing and time.monotonic() < since + QUIET_S:
                if came != len(outcome.bodies):
                    came, since = len(outcome.bodies), time.monotonic()
                await asyncio.sleep(0.5)
            assert watch.stop() == 0
        await channel.queue_delete(name)
    return outcome


async def test_a_rotating_writer_and_kills_lose_no_line_and_publish_no_other_file(
    url: str, name: str, tmp_path: Path
) -> None:
    outcome = await soak(url, name, tmp_path, SHORT_S, SHORT_KILLS)
    assert (outcome.missing, outcome.foreign) == ([], []), outcome
    assert all(len(bodies) == 1 for bodies in outcome.ids.values()), outcome
    assert len(outcome.ids) == len(outcome.bodies), outcome
    assert outcome.writer.rotations.keys() >= {"rename", "copytruncate", "double"}


def main(seconds: float, seed: int) -> None:
    """Run it, and print what happened."""
    with broker(os.environ, print) as url, tempfile.TemporaryDirectory() as directory:
        outcome = asyncio.run(soak(url, "watch-soak", Path(directory), seconds, KILLS, seed))
        print(outcome)
        if outcome.missing or outcome.foreign:
            print(f"missing: {outcome.missing[:50]}; of other files: {outcome.foreign[:5]}")
            print((Path(directory) / "watch.out").read_text())
            sys.exit(1)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else SEED)
