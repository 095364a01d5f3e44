"""Connections to object storages, from the settings and the usual environment variables.

Invariants: the retries are bounded, and plain http is used only within this machine.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from yarl import URL

from consumer.objects.errors import ObjectError
from consumer.objects.settings import ObjectsSection
from consumer.objects.url import ObjectUrl

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig, S3Credential, S3Store

CONNECT_S = 5
RETRIES_MAX = 10  # of one request, within `retry_s`
_ENDPOINT_VARIABLES = (
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT",
)  # the first one that is set is in force
_WHERE = {
    "s3": "check the section [objects] of the settings and the AWS_* variables",
    "gs": "check GOOGLE_APPLICATION_CREDENTIALS and the other GOOGLE_* variables",
    "az": "check AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY and the other AZURE_* variables",
}
_ENDPOINT = re.compile(r"https?://[A-Za-z0-9\[][^\s?#@]*", re.IGNORECASE)
_MEMORY: "dict[str, ObjectStore]" = {}  # buckets of `memory://`, until the end of the process


def connected(url: ObjectUrl, settings: ObjectsSection) -> "ObjectStore":
    """The store of obstore for the bucket of a URL. No request is sent. Raises ObjectError, which names the setting that is wrong."""
    from obstore.exceptions import BaseError

    _unset_empty_variables()
    try:
        with panics(url):
            return _connected(url, settings)
    except (BaseError, ValueError) as error:
        raise ObjectError(url, str(error).partition("\n")[0], _WHERE[url.scheme]) from error


@contextmanager
def panics(url: ObjectUrl) -> Iterator[None]:
    """A panic of obstore as an ObjectError: it is no Exception in Python, and would end a thread or the process."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ObjectError(url, f"obstore fails: {error}", "check the endpoint, the region and the keys") from error


def _unset_empty_variables() -> None:
    """Compose files set variables to nothing when they mean that they are not set. obstore takes an empty endpoint for an endpoint."""
    for name, value in list(os.environ.items()):
        if not value and name.startswith(("AWS_", "AZURE_", "GOOGLE_")):
            del os.environ[name]


def _connected(url: ObjectUrl, settings: ObjectsSection) -> "ObjectStore":
    from obstore.store import AzureStore, GCSStore, MemoryStore

    retry = _retry(settings)
    match url.scheme:
        case "memory":
            return _MEMORY.setdefault(url.bucket, MemoryStore())
        case "gs":
            return GCSStore(url.bucket, client_options=_client(settings), retry_config=retry)
        case "az":
            return AzureStore(url.bucket, client_options=_client(settings), retry_config=retry)
        case _:
            return s3_store(url, settings)


def s3_store(url: ObjectUrl, settings: ObjectsSection, whole: str = "") -> "S3Store":
    """The store of an S3 bucket. `whole`: an endpoint to which no bucket is appended, only a slash and the key; for signing. Raises ObjectError."""
    from obstore.store import S3Store

    endpoint = settings.endpoint or next(filter(None, map(os.environ.get, _ENDPOINT_VARIABLES)), "")
    options = _client(settings)
    if endpoint:
        options["allow_http"] = _plain_http(url, endpoint)
    named = {
        "aws_endpoint_url_s3": whole or endpoint,
        "region": settings.region,
        "virtual_hosted_style_request": bool(whole),
    }
    given: dict[str, Any] = {name: value for name, value in named.items() if value}
    return S3Store(
        url.bucket,
        client_options=options,
        retry_config=_retry(settings),
        credential_provider=_credentials(url, settings),
        **given,
    )


def _credentials(url: ObjectUrl, settings: ObjectsSection) -> "Callable[[], S3Credential] | None":
    """The keys of the settings, without the session token of the environment, which belongs to other keys. None: obstore looks for keys."""
    if bool(settings.access_key) != bool(settings.secret_key):
        missing = "secret_key" if settings.access_key else "access_key"
        raise ObjectError(url, f"objects.{missing} is not set", "set both keys, or none of them")
    if not settings.access_key:
        return None
    keys: S3Credential = {
        "access_key_id": settings.access_key,
        "secret_access_key": settings.secret_key,
        "token": None,
        "expires_at": None,
    }
    return lambda: keys


def _plain_http(url: ObjectUrl, endpoint: str) -> bool:
    """Whether the endpoint is plain http within this machine. Raises ObjectError for plain http to another machine."""
    if not _ENDPOINT.fullmatch(endpoint):
        shown = "with a user" if "@" in endpoint else repr(endpoint)  # a password is not shown
        raise ObjectError(url, f"the endpoint {shown} is not a URL", "write it as https:// with host and port")
    address = URL(endpoint)
    if address.scheme == "https" or not address.host:
        return False
    if not _is_loopback(address.host):
        what = f"the endpoint {endpoint} uses plain http to another machine: others on the network can read and change the data"
        raise ObjectError(url, what, "use https in objects.endpoint or AWS_ENDPOINT_URL")
    return True


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _client(settings: ObjectsSection) -> "ClientConfig":
    return {"connect_timeout": timedelta(seconds=CONNECT_S), "timeout": timedelta(seconds=settings.timeout_s)}


def _retry(settings: ObjectsSection) -> "RetryConfig":
    return {"max_retries": RETRIES_MAX, "retry_timeout": timedelta(seconds=settings.retry_s)}
