"""Connections from the settings and the environment."""

from datetime import timedelta

import pytest
from msgspec.structs import replace
from obstore import sign
from obstore.store import S3Store

from consumer.objects.connect import connected
from consumer.objects.errors import ObjectError
from consumer.objects.remote import RemoteStore
from consumer.objects.settings import ObjectsSection
from consumer.objects.stores import configured
from consumer.objects.url import ObjectUrl

URL = ObjectUrl("s3", "bucket", "key")


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:8333", "http://localhost:8333", "http://[::1]:8333", "https://localhost:8333"]
)
def test_plain_http_is_allowed_within_the_machine(endpoint: str) -> None:
    assert connected(URL, ObjectsSection(endpoint=endpoint))


def test_plain_http_to_another_machine_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ObjectError, match=r"plain http to another machine.*; use https in objects.endpoint"):
        connected(URL, ObjectsSection(endpoint="http://10.0.0.1:8333"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://10.0.0.1:8333")
    with pytest.raises(ObjectError, match="plain http to another machine"):
        connected(URL, ObjectsSection())


@pytest.mark.parametrize(
    "endpoint",
    [
        "host:8333",
        "http://",
        "https://",
        "https://localhost a",
        "https://localhost\n",
        "ftp://host",
        "http://127.0.0.1@localhost",
    ],
)
def test_an_endpoint_must_be_a_url(endpoint: str) -> None:
    with pytest.raises(ObjectError, match="is not a URL; write it as https://"):
        connected(URL, ObjectsSection(endpoint=endpoint))


@pytest.mark.parametrize(
    "name",
    [
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_REGION",
        "AWS_SESSION_TOKEN",
        "AWS_CONDITIONAL_PUT",
        "AWS_ACCESS_KEY_ID",
    ],
)
def test_an_empty_variable_is_not_set(bucket: ObjectUrl, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Compose files set variables to nothing."""
    monkeypatch.setenv(name, "")
    RemoteStore(bucket, configured()).put(bucket / "key", b"", {})


def test_a_panic_of_the_library_is_an_error_of_the_object(bucket: ObjectUrl) -> None:
    with pytest.raises(ObjectError, match=r"obstore fails: .*InvalidHeaderValue"):
        RemoteStore(bucket, replace(configured(), region="a\nb")).get(bucket / "key")


def test_google_and_azure_are_connected_without_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    assert type(connected(ObjectUrl("gs", "bucket"), ObjectsSection())).__name__ == "GCSStore"
    assert type(connected(ObjectUrl("az", "container"), ObjectsSection())).__name__ == "AzureStore"


def test_azure_without_an_account_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(ObjectError, match=r"(?i)account.*; check AZURE_STORAGE_ACCOUNT_NAME"):
        connected(ObjectUrl("az", "container"), ObjectsSection())


def test_keys_of_the_settings_are_not_used_with_the_token_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-other-keys")
    store = connected(URL, ObjectsSection(access_key="a", secret_key="b", endpoint="https://localhost:8333"))
    assert isinstance(store, S3Store)
    assert "of-other-keys" not in sign(store, "GET", "key", timedelta(minutes=1))


@pytest.mark.parametrize(("given", "missing"), [("access_key", "secret_key"), ("secret_key", "access_key")])
def test_one_key_alone_is_an_error(given: str, missing: str) -> None:
    with pytest.raises(ObjectError, match=f"objects.{missing} is not set; set both keys, or none of them"):
        connected(URL, ObjectsSection(**{given: "x"}))


def test_a_password_of_an_endpoint_is_not_shown() -> None:
    with pytest.raises(ObjectError, match="the endpoint with a user is not a URL") as caught:
        connected(URL, ObjectsSection(endpoint="http://localhost:s3cret@localhost"))
    assert "s3cret" not in str(caught.value)
