"""The settings of the steps on seal."""

from typing import Annotated

from msgspec import Meta

from consumer.section import IN_SECONDS, Section


class SealSection(Section, frozen=True):
    """The steps after an archive is sealed, in their order."""

    steps: Annotated[
        tuple[str, ...],
        Meta(
            description="What happens to each sealed archive: ship, link DIRECTORY, move DIRECTORY, suffix .NAME, run PROGRAM ARGUMENTS, delete. Empty: nothing."
        ),
    ] = ()
    run_timeout_s: Annotated[
        float,
        Meta(
            gt=0, extra=IN_SECONDS, description="Maximum time of a program of a run step, in seconds; then it is ended."
        ),
    ] = 60.0
