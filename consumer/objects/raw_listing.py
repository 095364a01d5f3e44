"""A listing of S3 with keys that obstore refuses: those with an empty part, `.`, `..` or a control character.

Other programs make such keys, and one of them makes the whole listing of obstore an error. So the request is signed by obstore, with
whatever credentials it has, and sent and read here. Source: ListObjectsV2 in the Amazon S3 API reference.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote_plus, urlencode
from urllib.request import urlopen
from xml.etree import ElementTree as ET

from consumer.objects.connect import s3_store
from consumer.objects.errors import AccessDenied, ObjectError, Unavailable, Unreachable
from consumer.objects.settings import ObjectsSection
from consumer.objects.url import ObjectUrl

TRIES = 3  # of one page
PAGE_BYTES_MAX = 16 << 20  # a page has at most 1,000 keys of at most 1,024 bytes
_SIGNED_S = 300


class RawEntry(NamedTuple):
    """An object as the storage lists it. The key may be any text."""

    key: str
    size: int
    etag: str | None
    modified_us: int


def raw_listing(below: ObjectUrl, settings: ObjectsSection) -> Iterator[RawEntry]:
    """All objects below a prefix, page by page. Raises ObjectError."""
    token: str | None = ""
    while token is not None:
        raw = _whole(below, _page(below, settings, token))
        try:
            entries, following = _parsed(raw)
        except (ET.ParseError, ValueError, OverflowError) as error:
            raise ObjectError(below, f"the listing cannot be read: {error}", "check the storage") from error
        yield from entries
        if following == token:
            raise ObjectError(below, "the listing repeats its continuation token and does not end", "check the storage")
        token = following


def _parsed(raw: bytes) -> tuple[list[RawEntry], str | None]:
    """The objects of a page, and the token of the next one. Raises ParseError and ValueError."""
    page = ET.fromstring(raw)  # noqa: S314 -- of the storage that holds the archives
    space = page.tag.rpartition("}")[0] + "}" if page.tag.startswith("{") else ""
    encoded = page.findtext(f"{space}EncodingType") == "url"
    entries = [_entry(entry, space, encoded) for entry in page.iter(f"{space}Contents")]
    return entries, page.findtext(f"{space}NextContinuationToken") or None


def _entry(entry: ET.Element, space: str, encoded: bool) -> RawEntry:
    key = entry.findtext(f"{space}Key") or ""
    modified = datetime.fromisoformat(entry.findtext(f"{space}LastModified") or "").astimezone(UTC)
    size, etag = int(entry.findtext(f"{space}Size") or 0), entry.findtext(f"{space}ETag")
    return RawEntry(unquote_plus(key) if encoded else key, size, etag, round(modified.timestamp() * 1e6))


def _page(below: ObjectUrl, settings: ObjectsSection, token: str) -> bytes:
    url = _signed(below, settings, token)
    error: Exception | None = None
    for _ in range(TRIES):
        try:
            with urlopen(url, timeout=settings.timeout_s) as answer:  # noqa: S310 -- the URL of the storage
                return bytes(answer.read(PAGE_BYTES_MAX + 1))
        except HTTPError as failure:
            failure.close()
            error = failure
            if failure.code in (401, 403):
                raise AccessDenied(
                    below, f"the listing is refused ({failure.code})", "check the credentials and the clock"
                ) from failure
            if failure.code < 500:
                raise ObjectError(below, f"the listing is refused with status {failure.code}") from failure
        except (URLError, OSError, HTTPException) as failure:
            error = failure
    if isinstance(error, HTTPError):
        raise Unavailable(below, f"the storage answers with status {error.code}, also to retries") from error
    raise Unreachable(
        below, "no connection to the storage", "check the endpoint, the network and the storage"
    ) from error


def _whole(below: ObjectUrl, raw: bytes) -> bytes:
    """Raises ObjectError for a page that is larger than any storage makes it."""
    if len(raw) > PAGE_BYTES_MAX:
        raise ObjectError(below, f"a page of the listing has more than {PAGE_BYTES_MAX} bytes", "check the storage")
    return raw


def _signed(below: ObjectUrl, settings: ObjectsSection, token: str) -> str:
    """The URL of a page with its signature.

    obstore signs the URL of an object, and has no request for a listing to sign. It appends `/` and the key to the endpoint. With an
    endpoint that ends in `…&prefix=PREFIX` and an empty key, the result is the URL of the listing.
    """
    from obstore import sign

    valid = timedelta(seconds=_SIGNED_S)
    bucket = sign(s3_store(below, settings), "GET", "x", valid).partition("?")[0].removesuffix("/x")
    query = {"list-type": "2", "encoding-type": "url"} | ({"continuation-token": token} if token else {})
    last = f"prefix={quote(below.key, safe='')}" if below.key else "x-id=ListObjectsV2"  # it gets a slash at its end
    listing = f"{bucket}?{urlencode(query, quote_via=quote)}&{last}"
    return sign(s3_store(below, settings, listing), "GET", "", valid)
