import msgspec
import pytest

from consumer.config.sections import SETTINGS, Setting, Settings
from consumer.section import Unit


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_a_setting_has_a_description_and_a_default_of_its_type(setting: Setting) -> None:
    assert setting.description.endswith(".")
    default = getattr(getattr(Settings(), setting.section), setting.name)
    assert msgspec.convert(default, setting.type) == default


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_a_size_or_duration_has_a_unit_and_its_description_names_it(setting: Setting) -> None:
    expected = Unit.BYTES if "bytes" in setting.name else Unit.SECONDS if setting.name.endswith("_s") else None
    assert setting.unit is expected
    assert expected is None or expected.value in setting.description


def test_the_instance_is_the_setting_or_the_name_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "host-1.example")
    assert Settings().instance == "host-1.example"
    assert (
        msgspec.structs.replace(Settings(), archive=msgspec.structs.replace(Settings().archive, instance="a")).instance
        == "a"
    )
