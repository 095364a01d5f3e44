"""The settings of ingest."""

from typing import Annotated

from msgspec import Meta

from consumer.section import IN_BYTES, IN_SECONDS, Section

PREFETCH_MAX = 65_535  # `basic.qos` has 16 bits for it


class BatchSection(Section, frozen=True):
    """A batch is committed when it reaches one of these limits."""

    count: Annotated[
        int,
        Meta(
            ge=1,
            le=PREFETCH_MAX // 2,
            description="Maximum number of deliveries of a batch. The prefetch is twice this number.",
        ),
    ] = 2000
    bytes: Annotated[
        int,
        Meta(
            ge=1,
            le=1 << 30,
            extra=IN_BYTES,
            description="Maximum size of a batch, in bytes. A delivery that is larger is a batch of its own.",
        ),
    ] = 8 << 20
    linger_s: Annotated[
        float,
        Meta(
            ge=0,
            le=60,
            extra=IN_SECONDS,
            description="Maximum time that a batch waits for more deliveries while they arrive, in seconds.",
        ),
    ] = 0.005
