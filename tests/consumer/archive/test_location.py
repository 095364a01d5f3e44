"""Locations: paths and URLs as one type."""

from pathlib import Path

import pytest

from consumer.archive import naming
from consumer.archive.location import local_only, parse_location
from consumer.errors import Fatal
from consumer.objects.url import ObjectUrl


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/a/b", Path("/a/b")),
        ("a:b", Path("a:b")),
        (Path("/a"), Path("/a")),
        ("s3://bucket/a/", ObjectUrl("s3", "bucket", "a")),
        ("file:///a/b", Path("/a/b")),
        ("FILE:///a", Path("/a")),
    ],
)
def test_a_text_is_a_path_or_a_url(text: str, expected: object) -> None:
    assert parse_location(text) == expected


@pytest.mark.parametrize("text", ["ftp://host/x", "s3://", "file://host/x"])
def test_a_url_that_is_not_possible_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_location(text)


def test_what_changes_archives_refuses_a_url() -> None:
    assert local_only(Path("/a"), "delete") == Path("/a")
    what = "s3://b/x: delete works on local archives only; give the archive directory itself, or a directory that `deedbox fetch` has restored"
    with pytest.raises(Fatal, match=what):
        local_only(ObjectUrl("s3", "b", "x"), "delete")


def test_the_name_of_an_object_names_an_archive() -> None:
    name = "20261121T161500.000000Z-20261121T161600.000000Z-a1-00000007.kvp.zst"
    url = parse_location(f"s3://b/20261121/{name}")
    assert naming.parse_sealed(url) == naming.ArchiveId("a1", 7)
    assert naming.first_arrival_us(url) == naming.first_arrival_us(Path(name))
