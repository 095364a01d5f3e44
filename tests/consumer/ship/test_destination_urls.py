import os
import subprocess
from pathlib import Path

import pytest

from consumer.errors import Exit, Fatal
from consumer.objects.url import ObjectUrl
from consumer.ship.destination_urls import destination_urls


def test_urls_and_directories(tmp_path: Path) -> None:
    found = destination_urls(["s3://bucket/a", f"file://{tmp_path}/copy"], tmp_path / "archive")
    assert found == [ObjectUrl("s3", "bucket", "a"), ObjectUrl.of_directory(f"{tmp_path}/copy")]


@pytest.mark.parametrize("text", ["bucket/a", "ftp://bucket", "s3://", "file://relative", "s3://user@bucket", ""])
def test_a_text_that_is_no_url_is_an_error(text: str, tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="name a URL such as") as error:
        destination_urls([text], tmp_path)
    assert error.value.exit is Exit.SETTINGS


def test_a_destination_inside_of_the_archive_directory_would_ship_its_own_objects(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "copy"):
        with pytest.raises(Fatal, match="is in the archive directory"):
            destination_urls([f"file://{place}"], tmp_path)


def test_a_destination_is_named_once(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="twice"):
        destination_urls(["s3://bucket/a", "s3://bucket/a/"], tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="a mount takes root")
def test_the_archive_directory_under_the_name_of_another_mount_is_no_destination(tmp_path: Path) -> None:
    archive, mount = tmp_path / "archive", tmp_path / "mount"
    (archive / "copy").mkdir(parents=True)
    mount.mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "twice").mkdir()
    subprocess.run(["mount", "--bind", archive, mount], check=True)
    try:
        for place in (mount, mount / "copy", mount / "new"):
            with pytest.raises(Fatal, match="is in the archive directory"):
                destination_urls([f"file://{place}"], archive)
    finally:
        subprocess.run(["umount", mount], check=True)
    (tmp_path / "link").symlink_to(tmp_path / "other")
    with pytest.raises(Fatal, match="twice"):
        destination_urls([f"file://{tmp_path}/other", f"file://{tmp_path}/link"], archive)
