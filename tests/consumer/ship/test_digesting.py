import shutil
from pathlib import Path

import pytest

from consumer.archive.digests.files import numbered
from consumer.errors import Exit, Fatal
from consumer.objects.url import ObjectUrl
from consumer.ship.digesting import Digesting
from consumer.ship.settings import ShipSection
from tests.support.shipping import Reports, seal


def test_it_makes_what_is_due(directory: Path) -> None:
    seal(directory, 2)
    reports = Reports()
    digesting = Digesting(directory, ShipSection(), reports)
    digesting()
    digesting()
    assert [number for number, _ in numbered(directory, "one")] == [1]
    assert reports.lines == []


def test_an_interval_of_0_makes_none(directory: Path) -> None:
    seal(directory, 2)
    Digesting(directory, ShipSection(digest_s=0.0), Reports())()
    assert numbered(directory, "one") == []


def test_a_failure_is_reported(directory: Path) -> None:
    seal(directory, 2)
    digesting = Digesting(directory, ShipSection(), Reports())
    digesting()
    (_, path), = numbered(directory, "one")  # fmt: skip
    path.chmod(0o600)
    path.write_bytes(b"x")
    reports = Reports()
    Digesting(directory, ShipSection(digest_s=0.001), reports)()
    assert reports.kinds() == ["digests_failed"]


def test_a_disk_that_fails_is_reported(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device", "digests")

    monkeypatch.setattr("consumer.ship.digesting.make_due", refuse)
    reports = Reports()
    Digesting(directory, ShipSection(), reports)()
    assert reports.lines == [("digests_failed", "digests", "No space left on device")]


def test_a_missing_key_stops_the_start(directory: Path) -> None:
    with pytest.raises(Fatal) as error:
        Digesting(directory, ShipSection(sign_key=str(directory / "missing.key")), Reports())
    assert error.value.exit is Exit.SETTINGS


def test_lost_digests_come_back_from_a_destination_first(directory: Path, tmp_path: Path) -> None:
    """Otherwise the next digest would have a number that the destination holds with other content, and would never be shipped."""
    seal(directory, 2)
    copy = tmp_path / "copy"
    Digesting(directory, ShipSection(), Reports())()
    shutil.copytree(directory / "digests", copy / "digests")
    shutil.rmtree(directory / "digests")
    Digesting(directory, ShipSection(), Reports(), [ObjectUrl.of_directory(str(copy))])()
    (found,) = numbered(directory, "one")
    assert found[1].read_bytes() == (copy / "digests" / "one" / found[1].name).read_bytes()


def test_a_folder_of_digests_that_goes_while_the_process_runs_comes_back(directory: Path, tmp_path: Path) -> None:
    """A second chain would have numbers that the destination holds with other content: nothing would be recorded there any more."""
    seal(directory, 2)
    copy = tmp_path / "copy"
    copy.mkdir()
    reports, url = Reports(), ObjectUrl.of_directory(str(copy))
    digesting = Digesting(directory, ShipSection(digest_s=0.001), reports, [url])
    digesting()
    shutil.copytree(directory / "digests", copy / "digests")
    shutil.rmtree(directory / "digests")
    while len(numbered(directory, "one")) < 2 and not reports.lines:
        digesting()
    assert numbered(directory, "one")[0][1].read_bytes() == (copy / "digests/one/00000001.digest").read_bytes()
    assert reports.lines == []


def test_without_any_digest_none_is_made_until_the_destinations_have_answered(directory: Path, tmp_path: Path) -> None:
    seal(directory, 2)
    reports, url = Reports(), ObjectUrl.of_directory(str(tmp_path / "unmounted"))
    Digesting(directory, ShipSection(), reports, [url])()
    assert (reports.kinds(), numbered(directory, "one")) == (["digests_failed"], [])
    Digesting(directory, ShipSection(), Reports())()
    Digesting(directory, ShipSection(digest_s=0.001), reports, [url])()  # the chain is there: it goes on
    assert len(numbered(directory, "one")) == 2
