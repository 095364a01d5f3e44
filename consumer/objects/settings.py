"""The settings of object storage."""

from typing import Annotated

from msgspec import Meta

from consumer.section import IN_BYTES, IN_SECONDS, Section


class ObjectsSection(Section, frozen=True):
    """Object storage. What is empty here is taken from the usual variables, such as AWS_ENDPOINT_URL and AWS_ACCESS_KEY_ID."""

    endpoint: Annotated[
        str,
        Meta(
            description="URL of an S3 service that is not Amazon's. Plain http only for this machine. Empty: AWS_ENDPOINT_URL, or Amazon."
        ),
    ] = ""
    region: Annotated[str, Meta(description="Region of the buckets. Empty: AWS_REGION, or us-east-1.")] = ""
    access_key: Annotated[
        str, Meta(description="Access key of S3. Empty: AWS_ACCESS_KEY_ID, or the role of the machine.")
    ] = ""
    secret_key: Annotated[
        str,
        Meta(
            description="Secret key of S3. Keep it in a file: objects.secret_key_file or DEEDBOX_OBJECTS__SECRET_KEY_FILE. Empty: AWS_SECRET_ACCESS_KEY."
        ),
    ] = ""
    timeout_s: Annotated[
        float,
        Meta(ge=1, extra=IN_SECONDS, description="Maximum time of one request with its content, in seconds."),
    ] = 60.0
    retry_s: Annotated[
        float,
        Meta(
            ge=0,
            le=300,
            extra=IN_SECONDS,
            description="Time in which a failed request is sent again, in seconds. A request ends after this time and one more objects.timeout_s.",
        ),
    ] = 60.0
    cache_bytes: Annotated[
        int,
        Meta(
            ge=0,
            extra=IN_BYTES,
            description="Maximum size of the cache of footers below ~/.cache/deedbox (or $XDG_CACHE_HOME/deedbox), in bytes. 0: no cache.",
        ),
    ] = 256 << 20
    part_bytes: Annotated[
        int,
        Meta(
            ge=5 << 20,
            le=1 << 30,
            extra=IN_BYTES,
            description="Size of a part of an upload, in bytes. A smaller file is one request.",
        ),
    ] = 8 << 20
    parts: Annotated[
        int,
        Meta(
            ge=1,
            le=64,
            description="Parts of one file that are sent at the same time. Memory holds one more than these.",
        ),
    ] = 3
