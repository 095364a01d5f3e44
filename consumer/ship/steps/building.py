"""Build the stage of the steps on seal from the settings."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from codec.digest import LOCAL
from consumer.archive.digests.making import Retirement
from consumer.disk.durable import Disk
from consumer.objects.url import ObjectUrl
from consumer.ship.retention.recording import recorder
from consumer.ship.settings import ShipSection
from consumer.ship.steps.effects import Departure, Effects
from consumer.ship.steps.settings import SealSection
from consumer.ship.steps.shipped import shipped_to
from consumer.ship.steps.stage import Settled, StepsStage
from consumer.ship.steps.step import parse_steps
from consumer.ship.steps.worker import Worker


def steps_stage(
    directory: Path, settings: SealSection, shipping: ShipSection, urls: Sequence[ObjectUrl], environ: Mapping[str, str]
) -> StepsStage:
    """The stage for an archive directory. Raises Fatal if the key of the settings cannot be used. Call it in the event loop."""
    settled = Settled()
    worker = steps_worker(directory, settings, shipping, urls, environ)
    worker.ready = settled
    return StepsStage(worker, settled)


def steps_worker(
    directory: Path, settings: SealSection, shipping: ShipSection, urls: Sequence[ObjectUrl], environ: Mapping[str, str]
) -> Worker:
    """The worker of the stage. Raises Fatal if the key of the settings cannot be used."""
    root, disk = directory.absolute(), Disk()
    record = recorder(disk, root, shipping, urls)

    def retire(departures: Sequence[Departure]) -> None:
        record([_entry(root, one, urls) for one in departures])

    effects = Effects(disk, root, shipped_to(root, urls), retire, environ, settings.run_timeout_s)
    return Worker(disk, root, parse_steps(settings.steps), effects, clock=time.monotonic)


def _entry(root: Path, one: Departure, urls: Sequence[ObjectUrl]) -> Retirement:
    """What the chain records. Every destination had the archive just before."""
    kept = tuple(map(str, urls))
    name = one.path.relative_to(root).as_posix().encode("utf-8", "backslashreplace").decode()
    return Retirement(one.archive, name, one.sha256, LOCAL, kept, one.reason)
