"""The names of the variables that a run step gives to its program.

They begin as settings in the environment do. A `deedbox` command that the program starts must not take them for settings.
"""

PREFIX = "DEEDBOX_ARCHIVE_"
VARIABLES = frozenset(
    f"{PREFIX}{name}"
    for name in (
        "PATH", "NAME", "ID", "INSTANCE", "SEQUENCE", "EVENTS", "BATCHES", "BYTES", "SHA256", "FIRST", "LAST"
    )
)  # fmt: skip
