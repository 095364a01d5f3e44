"""All sections of the settings together, and the table of all settings.

Invariant: every setting has a safe default and a description.
"""

import socket
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

from consumer.amqp.settings import BrokerSection
from consumer.amqp.topology import Topology
from consumer.archive import naming
from consumer.archive.settings import ArchiveSection, RollSection
from consumer.forward.settings import WatchSection
from consumer.ingest.settings import BatchSection
from consumer.objects.settings import ObjectsSection
from consumer.replay.settings import ReplaySection
from consumer.section import IN_SECONDS, Section, Unit
from consumer.ship.retention.settings import RetainSection
from consumer.ship.settings import ShipSection
from consumer.ship.steps.settings import SealSection


class ServiceSection(Section, frozen=True):
    """The process."""

    drain_s: Annotated[
        float,
        Meta(
            gt=0,
            extra=IN_SECONDS,
            description="Maximum time from SIGTERM to the end of the process, in seconds. Deliveries that are not committed by then are returned to the broker.",
        ),
    ] = 30.0
    stats_s: Annotated[
        float, Meta(ge=0.1, extra=IN_SECONDS, description="Time between two stats lines of the log, in seconds.")
    ] = 10.0
    log: Annotated[
        Literal["auto", "json", "console"],
        Meta(
            description="Format of the log: json, console, or auto, which is console on a terminal and json elsewhere."
        ),
    ] = "auto"


class Settings(msgspec.Struct, frozen=True):
    """All sections."""

    broker: BrokerSection = BrokerSection()
    batch: BatchSection = BatchSection()
    archive: ArchiveSection = ArchiveSection()
    roll: RollSection = RollSection()
    seal: SealSection = SealSection()
    service: ServiceSection = ServiceSection()
    watch: WatchSection = WatchSection()
    objects: ObjectsSection = ObjectsSection()
    ship: ShipSection = ShipSection()
    retain: RetainSection = RetainSection()
    replay: ReplaySection = ReplaySection()

    @property
    def instance(self) -> str:
        """The name of the writer: the setting, or the name of the host."""
        return self.archive.instance or naming.instance_from(socket.gethostname())

    @property
    def prefetch(self) -> int:
        """Two batches: one is committed while the next one grows."""
        return 2 * self.batch.count

    @property
    def topology(self) -> Topology:
        """The exchange and queue to declare and consume at the broker."""
        return self.broker.topology(f"deedbox {self.instance}")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its section and name, its type, its description, and its unit if text such as `1h` is accepted."""

    section: str
    name: str
    type: Any  # with its constraints, for `msgspec.convert`
    description: str
    unit: Unit | None

    @property
    def key(self) -> str:
        """`section.name`, as in `--set`."""
        return f"{self.section}.{self.name}"

    def value_in(self, settings: Settings) -> object:
        """The value that is in force."""
        return getattr(getattr(settings, self.section), self.name)


def _setting(section: str, name: str, hint: Any) -> Setting:  # noqa: ANN401 -- a type with annotations is any object
    metas = [meta for meta in get_args(hint)[1:] if isinstance(meta, Meta)]
    description = next(meta.description for meta in metas if meta.description)
    unit = next((meta.extra["unit"] for meta in metas if meta.extra), None)
    return Setting(section, name, hint, description, unit)


SECTIONS: dict[str, type[Section]] = get_type_hints(Settings)
SETTINGS = {
    setting.key: setting
    for section, kind in SECTIONS.items()
    for name, hint in get_type_hints(kind, include_extras=True).items()
    for setting in [_setting(section, name, hint)]
}
