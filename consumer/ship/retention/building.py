"""Build retention from the settings."""

from collections.abc import Sequence
from pathlib import Path

from consumer.disk.durable import Disk
from consumer.objects.url import ObjectUrl
from consumer.ship.retention.recording import recorder, revoker
from consumer.ship.retention.retention import Retention, Rules
from consumer.ship.retention.settings import RetainSection
from consumer.ship.settings import ShipSection


def retention_of(
    directory: Path, settings: RetainSection, shipping: ShipSection, urls: Sequence[ObjectUrl]
) -> Retention:
    """Retention of an archive directory. Raises Fatal if a limit of a destination is none, or if the key of the settings cannot be used."""
    root, disk = directory.absolute(), Disk()
    rules = Rules(settings.local, {url: settings.remote(str(url)) for url in urls})
    return Retention(disk, root, rules, urls, recorder(disk, root, shipping, urls), revoker(disk, root, shipping))
