"""The settings of shipping."""

from typing import Annotated

from msgspec import Meta

from consumer.section import Bytes, Seconds, Section


class ShipSection(Section, frozen=True):
    """Sealed archives are copied to each destination. Nothing is removed, here or there."""

    destinations: Annotated[
        tuple[str, ...],
        Meta(
            description="URLs to ship to, such as s3://BUCKET/PREFIX, gs://, az:// or file:///DIRECTORY. Empty: nothing is shipped."
        ),
    ] = ()
    bytes_per_s: Annotated[
        Bytes, Meta(description="Maximum rate of all uploads together, in bytes a second. 0: no limit.")
    ] = 0
    uploads: Annotated[
        int,
        Meta(
            ge=1,
            le=64,
            description="Archives that are sent to one destination at the same time. Of those above 8 MiB, one.",
        ),
    ] = 2
    digest_s: Annotated[
        Seconds,
        Meta(
            description="Time after which a digest lists the new archives of each instance, in seconds. 0: no digests."
        ),
    ] = 3600.0
    sign_key: Annotated[
        str, Meta(description="File of the private key that signs digests. Empty: digests are not signed.")
    ] = ""
