"""URLs of objects: parsing, parts, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.objects.url import ObjectUrl, is_url, local_path

PARTS = st.text(
    st.characters(exclude_characters="/\\\x7f", min_codepoint=32, exclude_categories=["Cs"]), min_size=1
).filter(lambda part: part not in (".", ".."))


@given(st.sampled_from(["s3", "gs", "az"]), st.from_regex(r"[a-z][a-z0-9-]{2,20}", fullmatch=True), st.lists(PARTS))
def test_a_url_is_parsed_from_its_own_text(scheme: str, bucket: str, parts: list[str]) -> None:
    url = ObjectUrl(scheme, bucket, "/".join(parts))
    assert ObjectUrl.parse(str(url)) == url


def test_parts_of_a_url() -> None:
    url = ObjectUrl.parse("s3://bucket/a/b/c.kvp.zst")
    assert (url.name, str(url.parent), str(url.with_name("d"))) == ("c.kvp.zst", "s3://bucket/a/b", "s3://bucket/a/b/d")
    assert list(map(str, url.parents)) == ["s3://bucket/a/b", "s3://bucket/a", "s3://bucket"]
    assert url.relative(ObjectUrl.parse("s3://bucket/a")) == "b/c.kvp.zst"
    assert url.relative(ObjectUrl.parse("s3://bucket")) == "a/b/c.kvp.zst"
    assert ObjectUrl.parse("s3://bucket") / "a" / "b" / "c.kvp.zst" == url


def test_a_prefix_is_not_above_a_key_that_only_begins_with_it() -> None:
    with pytest.raises(ValueError, match="not below"):
        ObjectUrl.parse("s3://bucket/ab/c").relative(ObjectUrl.parse("s3://bucket/a"))


@pytest.mark.parametrize(
    "text",
    ["s3://", "s3:///key", "http://host/x", "s3://user@bucket/x", "s3://bucket:80/x", "s3://b/a//b", "s3://b/../x", "/a/b", "s3://a b/x", "s3://a%b/x", "s3://../x", "s3://b/a\nb", "s3://b/a\\b"],
)  # fmt: skip
def test_what_is_no_url_of_an_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|key"):
        ObjectUrl.parse(text)


def test_a_slash_at_the_end_changes_nothing() -> None:
    assert ObjectUrl.parse("s3://bucket/a/") == ObjectUrl.parse("s3://bucket/a")


def test_a_text_that_is_no_url_is_answered_with_examples() -> None:
    with pytest.raises(
        ValueError, match=r"'backups/x': expected a URL such as s3://BUCKET/PREFIX, .* or file:///DIRECTORY$"
    ):
        ObjectUrl.parse("backups/x")


@pytest.mark.parametrize(
    ("text", "expected"), [("s3://b/x", True), ("file:///x", True), ("/a/b", False), ("a:b", False), ("C://x", True)]
)
def test_urls_are_distinguished_from_paths(text: str, expected: bool) -> None:
    assert is_url(text) is expected


def test_a_file_url_is_a_local_path() -> None:
    assert local_path("file:///a/b%20c") == "/a/b c"
    assert local_path("s3://b/x") is None
    with pytest.raises(ValueError, match="ABSOLUTE"):
        local_path("file://host/x")


@pytest.mark.parametrize(
    "text",
    ["s3://KEY:s3cret@bucket/x", "s3://bucket/x?X-Amz-Signature=s3cret", "az://c/x?sv=1&sig=s3cret", "s3://s3cret@b"],
)
def test_a_secret_in_a_url_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match=r"key or a signature; set the keys with AWS_") as caught:
        ObjectUrl.parse(text)
    assert "s3cret" not in str(caught.value)
