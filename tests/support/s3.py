"""A server with the S3 interface, and requests to it that obstore cannot send: make a bucket, list unfinished uploads."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from urllib.parse import quote, urlencode

from consumer.objects.settings import ObjectsSection

REGION = "us-east-1"


@dataclass(frozen=True)
class S3:
    """Where it answers, and its keys."""

    port: int
    access_key: str
    secret_key: str

    def settings(self, port: int = 0, **more: object) -> ObjectsSection:
        """The settings for it; `port`: of a proxy in front of it."""
        return ObjectsSection(
            endpoint=f"http://127.0.0.1:{port or self.port}",
            region=REGION,
            access_key=self.access_key,
            secret_key=self.secret_key,
            **more,
        )

    def environ(self, port: int = 0) -> dict[str, str]:
        """The usual variables for it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}",
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }

    def make_bucket(self, bucket: str) -> None:
        status, body = self.request("PUT", f"/{bucket}")
        assert status == 200, (status, body)

    def request(self, method: str, path: str, query: dict[str, str] | None = None) -> tuple[int, bytes]:
        """Send a signed request without a body. Source: "Signature Version 4" in the Amazon S3 API reference."""
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        headers = {
            "host": f"127.0.0.1:{self.port}",
            "x-amz-content-sha256": hashlib.sha256(b"").hexdigest(),
            "x-amz-date": now,
        }
        names = ";".join(headers)
        asked = urlencode(sorted((query or {}).items()), quote_via=quote)
        lines = [f"{name}:{value}" for name, value in headers.items()]
        canonical = "\n".join([method, quote(path), asked, *lines, "", names, headers["x-amz-content-sha256"]])
        scope = [now[:8], REGION, "s3", "aws4_request"]
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        to_sign = "\n".join(["AWS4-HMAC-SHA256", now, "/".join(scope), hashed])
        key = f"AWS4{self.secret_key}".encode()
        for part in scope:
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{'/'.join(scope)}, "
            f"SignedHeaders={names}, Signature={signature}"
        )
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, quote(path) + ("?" + asked if asked else ""), headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def is_ready(s3: S3, path: str) -> bool:
    """Whether the server answers to a request for its health."""
    connection = HTTPConnection("127.0.0.1", s3.port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
