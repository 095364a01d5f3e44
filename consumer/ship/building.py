"""Builds the stage of `deedbox run` that ships, from the settings."""

from pathlib import Path

from consumer.errors import Exit, Fatal
from consumer.objects.errors import ObjectError
from consumer.ship.destination import Limits
from consumer.ship.destination_urls import destination_urls
from consumer.ship.digesting import Digesting
from consumer.ship.pacing import Bandwidth
from consumer.ship.report import LogReport, Report
from consumer.ship.settings import ShipSection
from consumer.ship.shipper import Shipper
from consumer.ship.stage import ShipStage


def shipper_of(directory: Path, settings: ShipSection, report: Report) -> Shipper:
    """The shipper of an archive directory. The stores must be configured before. Raises Fatal for a setting that is wrong."""
    urls = destination_urls(settings.destinations, directory)
    limits = Limits(Bandwidth(settings.bytes_per_s), settings.uploads)
    digesting = Digesting(directory, settings, report, urls)
    try:
        return Shipper(directory, urls, limits, report, digesting)
    except ObjectError as error:
        raise Fatal(Exit.SETTINGS, error.what, error.do) from error


def ship_stage(directory: Path, settings: ShipSection) -> ShipStage | None:
    """The stage; None if there is no destination. Raises as `shipper_of` does. Call it in the event loop."""
    return ShipStage(shipper_of(directory, settings, LogReport())) if settings.destinations else None
