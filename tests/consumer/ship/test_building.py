from pathlib import Path

import pytest

from consumer.errors import Exit, Fatal
from consumer.objects.settings import ObjectsSection
from consumer.objects.stores import configure
from consumer.ship.building import ship_stage, shipper_of
from consumer.ship.settings import ShipSection
from tests.support.shipping import Reports


def test_a_shipper_has_the_destinations_of_the_settings(tmp_path: Path) -> None:
    settings = ShipSection(destinations=("memory://bucket/a", "file:///srv/copy"), bytes_per_s=5)
    made = shipper_of(tmp_path, settings, Reports())
    assert list(made.progress) == ["memory://bucket/a", "file:///srv/copy"]


async def test_without_destinations_there_is_no_stage(tmp_path: Path) -> None:
    assert ship_stage(tmp_path, ShipSection()) is None
    made = ship_stage(tmp_path, ShipSection(destinations=("memory://bucket",)))
    assert made is not None
    assert made.name == "ship"


def test_plain_http_to_another_machine_stops_the_start(tmp_path: Path) -> None:
    configure(ObjectsSection(endpoint="http://10.0.0.1:8333"))
    try:
        with pytest.raises(Fatal) as error:
            shipper_of(tmp_path, ShipSection(destinations=("s3://bucket",)), Reports())
    finally:
        configure(ObjectsSection())
    assert error.value.exit is Exit.SETTINGS


async def test_a_wrong_destination_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(Fatal):
        ship_stage(tmp_path, ShipSection(destinations=("bucket",)))
