"""The limits of a policy of retention. Pure."""

from dataclasses import dataclass

from codec.counted import counted


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be kept at one place. 0 means no limit. `free_bytes`: what must be free on the disk."""

    age_s: float = 0.0
    bytes: int = 0
    count: int = 0
    free_bytes: int = 0

    def __bool__(self) -> bool:
        """Whether there is a limit."""
        return bool(self.age_s or self.bytes or self.count or self.free_bytes)

    def exceeded(self, age_s: float, total: int, count: int, free: int) -> tuple[str, ...]:
        """Which limits an archive of this age exceeds, while its place holds `total` bytes in `count` archives and `free` bytes are free."""
        found = []
        if self.age_s and age_s > self.age_s:
            found.append(f"older than {_duration(self.age_s)}")
        if self.bytes and total > self.bytes:
            found.append(f"more than {self.bytes:,} bytes in all")
        if self.count and count > self.count:
            found.append(f"more than {counted(self.count, 'archive')}")
        if self.free_bytes and free < self.free_bytes:
            found.append(f"less than {self.free_bytes:,} bytes free")
        return tuple(found)


def _duration(seconds: float) -> str:
    """A time in the largest unit in which it is whole."""
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size and seconds % size == 0:
            return counted(round(seconds / size), unit)
    return f"{seconds:g} s"
