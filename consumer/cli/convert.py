"""The commands that convert: import and export."""

from typing import Annotated, Literal

from cyclopts import Parameter

from consumer.cli.command import CONVERT, command
from consumer.cli.filters import NO_FILTERS, Filtered
from consumer.cli.parameters import FROM_ENVIRONMENT, Cluster, OnePath, Paths, Storage


@command(
    "import", CONVERT,
    "import events.jsonl.gz --format jsonl --dir DIR",
    "import FILES --format shoebox --dir DIR --instance shoebox",
    "import - --format jsonl --dir DIR",
)  # fmt: skip
def import_files(
    paths: Annotated[list[OnePath], Parameter(help="Files, or directories of files; - is standard input.")],
    /,
    *,
    format: Annotated[
        Literal["shoebox", "theia", "cloudinit", "jsonl"],
        Parameter(help="Format of the files. Files of shoebox and jsonl may be compressed with gzip."),
    ],
    dir: Annotated[OnePath, Parameter(help="Directory of the archives.")],
    instance: Annotated[str, Parameter(help="Name of the writer, unique in the directory.")] = "import",
) -> int:
    """Archive the events of other systems' files.

    Standard input is saved in a temporary file first, and archived when it ends. A part that is not an event is reported on
    standard error and skipped, and the exit status is 1.
    """
    from consumer.cli.commands.import_files import import_files
    from consumer.convert.formats import FileFormat

    return import_files(paths, FileFormat(format), dir, instance)


@command(
    "export", CONVERT,
    "export DIR --format jsonl --out FILES",
    "export DIR --format theia --out FILES --since 1d --type 'compute.*'",
)  # fmt: skip
def export(
    paths: Paths,
    /,
    *,
    format: Annotated[
        Literal["shoebox", "shoebox-json", "theia", "cloudinit", "jsonl", "parquet"],
        Parameter(help="Format of the files. Parquet needs the extra `parquet` of the package."),
    ],
    out: Annotated[OnePath, Parameter(help="Directory for the files. A file that exists is never replaced.")],
    filters: Filtered = NO_FILTERS,
    cluster: Cluster = None,
    storage: Storage = FROM_ENVIRONMENT,
) -> int:
    """Write events as files of other systems.

    Everything that the format has no place for is named and counted on standard error. Exit status 1 if an event was left out or an
    archive could not be read.
    """
    from consumer.cli.commands.export_files import export_events
    from consumer.convert.formats import FileFormat

    storage.apply(paths)
    return export_events(paths, filters.query(), FileFormat(format), out, cluster)
