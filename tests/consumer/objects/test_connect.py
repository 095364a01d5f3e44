"""Connections from the settings and the environment."""

from datetime import timedelta

import pytest
from obstore import sign
from obstore.store import S3Store

from consumer.objects.connect import connected
from consumer.objects.errors import ObjectError
from consumer.objects.settings import ObjectsSection
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


def test_an_endpoint_must_be_a_url() -> None:
    with pytest.raises(ObjectError, match="'host:8333' is not a URL; write it as https://"):
        connected(URL, ObjectsSection(endpoint="host:8333"))


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
