"""An archive directory, its destinations, and runs of retention over them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from consumer.archive.digests.making import make_due
from consumer.archive.listing import find_archives
from consumer.archive.naming import parse_sealed
from consumer.archive.reading.reader import Seal, open_archive
from consumer.archive.writing.sealing import digest
from consumer.disk.durable import Disk
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from consumer.ship.retention.limits import Limits
from consumer.ship.retention.recording import recorder, revoker
from consumer.ship.retention.retention import Result, Retention, Rules
from consumer.ship.settings import ShipSection
from consumer.ship.side_files import side_files
from tests.support.steps import sealed

NO_LIMITS = Limits()


def upload(root: Path, url: ObjectUrl, *paths: Path) -> None:
    """Put archives with their side files, as `ship` does; all of the directory if none is named."""
    store = store_of(url)
    for path in paths or find_archives([root]):
        archive = parse_sealed(path)
        if archive is None:
            continue
        sha256 = digest(path)
        with open_archive(path) as opened:
            seal = next(part for part in opened.parts(frames=False) if isinstance(part, Seal))
        attributes = {"sha256": sha256, "original": seal.footer.rewritten_from or sha256}
        store.put(url / path.relative_to(root).as_posix(), path.read_bytes(), attributes)
        for suffix, files in side_files(root, path, archive).items():
            name = path.with_name(f"{archive}{suffix}").relative_to(root).as_posix()
            store.put(url / name, b"".join(file.read_bytes() for file in files), {})


@dataclass
class World:
    """A directory with sealed archives of instance `one`, and local directories as destinations."""

    top: Path
    urls: list[ObjectUrl] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.top / "archive"

    def seal(self, count: int, instance: str = "one") -> list[Path]:
        return sealed(self.root, count, instance)

    def destination(self, name: str) -> ObjectUrl:
        """One more destination, which is empty."""
        (self.top / name).mkdir()
        self.urls.append(ObjectUrl.of_directory(str(self.top / name)))
        return self.urls[-1]

    def upload(self) -> None:
        """Bring everything to every destination."""
        make_due(Disk(), self.root, time.time_ns() // 1000, 0)
        for url in self.urls:
            upload(self.root, url)

    def retention(
        self, local: Limits = NO_LIMITS, remote: Mapping[ObjectUrl, Limits] | None = None, disk: Disk | None = None
    ) -> Retention:
        disk = disk or Disk()
        return Retention(
            disk,
            self.root,
            Rules(local, remote or {}),
            self.urls,
            recorder(disk, self.root, ShipSection(), self.urls),
            revoker(disk, self.root, ShipSection()),
        )

    def run(self, local: Limits = NO_LIMITS, remote: Mapping[ObjectUrl, Limits] | None = None) -> Result:
        return self.retention(local, remote).run()

    def left(self) -> list[int]:
        """The sequences of the archives of the directory."""
        return numbers(find_archives([self.root]))

    def left_at(self, url: ObjectUrl) -> list[int]:
        """The sequences of the archives at a destination."""
        return numbers([Path(one.url.name) for one in store_of(url).list(url)])


def numbers(paths: Sequence[Path]) -> list[int]:
    return sorted(archive.sequence for path in paths if (archive := parse_sealed(path)))


def reasons(result: Result, where: str = "local") -> list[str]:
    """The reason for each archive of a place, oldest first."""
    return [one.reason for one in result.decisions[where]]
