"""A destination as retention sees it: a local directory, and SeaweedFS."""

import hashlib
import os
from pathlib import Path

import pytest

from consumer.objects.errors import AccessDenied
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from consumer.ship.retention.places import Place, Presence, look_at

SHA = "ab" * 32


@pytest.fixture
def url(tmp_path: Path) -> ObjectUrl:
    return ObjectUrl.of_directory(str(tmp_path))


def test_presence_is_size_and_sha256_as_they_are_now(bucket: ObjectUrl) -> None:
    place = Place.look(bucket / "prefix")
    asked = []

    def sha256() -> str:
        asked.append(1)
        return SHA

    assert place.presence("x", 3, sha256) is Presence.MISSING
    store_of(bucket).put(bucket / "prefix" / "x", b"abc", {"sha256": SHA})
    assert place.presence("x", 4, sha256) is Presence.DIFFERENT
    assert asked == [], "a file is not read if its size is another one"
    assert place.presence("x", 3, sha256) is Presence.VERIFIED
    store_of(bucket).put(bucket / "prefix" / "x", b"abc", {})
    assert place.presence("x", 3, sha256) is Presence.DIFFERENT


def test_holds_are_beside_an_archive_or_in_a_folder_above(url: ObjectUrl) -> None:
    for name in ("day/a.kvp.zst.hold", "other/.hold"):
        store_of(url).put(url / name, b"", {})
    place = Place.look(url)
    assert place.hold_of("day/a.kvp.zst") == "day/a.kvp.zst.hold"
    assert place.hold_of("day/b.kvp.zst") is None
    assert place.hold_of("other/deep/c.kvp.zst") == "other/.hold"
    store_of(url).put(url / ".hold", b"", {})
    assert Place.look(url).hold_of("day/b.kvp.zst") == ".hold"


def test_a_destination_that_does_not_answer_is_asked_once(url: ObjectUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place.look(url)
    Path(url.bucket).rmdir()
    assert place.presence("x", 1, lambda: SHA) is Presence.UNKNOWN
    assert "does not exist" in place.fault
    Path(url.bucket).mkdir()
    assert place.presence("x", 1, lambda: SHA) is Presence.UNKNOWN
    assert place.head("x") is None
    assert place.get("x") == b""


def test_a_destination_is_looked_at_once_and_its_listing_may_fail(url: ObjectUrl) -> None:
    gone = ObjectUrl.of_directory(f"{url.bucket}/gone")
    first, second = look_at([url, gone, url])
    assert (first.fault, second.objects) == ("", {})
    assert "does not exist" in second.fault


def test_archives_are_candidates_with_the_time_in_their_name(url: ObjectUrl) -> None:
    name = "20251121T161500.000000Z-20251121T161500.000002Z-one-00000001.kvp.zst"
    for key in (f"20251121/{name}", f"copy/{name}", "one-00000001.deleted", f"20251121/{name}.hold"):
        store_of(url).put(url / key, b"abc", {})
    place = Place.look(url)
    ((candidate),) = place.candidates()
    assert (candidate.name, candidate.size, candidate.last_us) == (f"20251121/{name}", 3, 1_763_741_700_000_002)
    assert len(place.archives()[candidate.archive]) == 2
    assert place.get("one-00000001.deleted") == b"abc"


def test_the_file_itself_is_no_copy(tmp_path: Path, url: ObjectUrl) -> None:
    file = tmp_path / "archive"
    file.write_bytes(b"abc")
    os.link(file, tmp_path / "x")
    sha256 = hashlib.sha256(b"abc").hexdigest()
    assert Place.look(url).presence("x", 3, lambda: sha256, file) is Presence.SAME_FILE
    (tmp_path / "x").unlink()
    (tmp_path / "x").write_bytes(b"abc")
    assert Place.look(url).presence("x", 3, lambda: sha256, file) is Presence.VERIFIED


def test_an_object_without_attributes_is_compared_by_its_content() -> None:
    url = ObjectUrl("memory", "without-attributes", "p")
    store_of(url).put(url / "x", b"abc", {})
    sha256 = hashlib.sha256(b"abc").hexdigest()
    assert Place.look(url).presence("x", 3, lambda: sha256) is Presence.VERIFIED
    assert Place.look(url).presence("x", 3, lambda: SHA) is Presence.DIFFERENT
    store_of(url).put(url / "x", b"abc", {"sha256": SHA})
    assert Place.look(url).presence("x", 3, lambda: sha256) is Presence.DIFFERENT


def test_a_hold_that_was_put_after_the_listing_is_found_when_it_is_asked_for(url: ObjectUrl) -> None:
    place = Place.look(url)
    store_of(url).put(url / "day/.hold", b"", {})
    assert place.hold_of("day/a.kvp.zst") is None
    assert place.hold_now("day/a.kvp.zst") == "day/.hold"
    assert place.hold_now("other/a.kvp.zst") is None


def test_an_object_that_must_not_be_asked_for_blocks_only_itself(
    url: ObjectUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_of(url).put(url / "x", b"abc", {})
    place = Place.look(url)
    head = place.store.head

    def denied(one: ObjectUrl) -> object:
        if one.name == "secret":
            raise AccessDenied(one, "403")
        return head(one)

    monkeypatch.setattr(place.store, "head", denied)
    assert place.presence("secret", 3, lambda: SHA) is Presence.UNKNOWN
    assert "403" in place.why_silent("secret")
    assert place.presence("x", 3, lambda: hashlib.sha256(b"abc").hexdigest()) is Presence.VERIFIED
    assert place.hold_now("secret/a") is None
