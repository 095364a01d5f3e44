"""The commands that check and change archives: verify, repair, delete, undelete and compact."""

from typing import Annotated, Literal

from cyclopts import Parameter

from consumer.cli.command import MAINTAIN, OUTPUT, command
from consumer.cli.parameters import FROM_ENVIRONMENT, Cluster, EventName, LocalPaths, Paths, Storage, Workers
from consumer.cli.printing import print_line
from consumer.cli.proving import DEFAULT_PROVING, Proving
from consumer.errors import Exit, Fatal


@command(
    "verify", MAINTAIN,
    "verify DIR",
    "verify DIR s3://bucket/archive --public-key deedbox.pub",
    "verify DIR --deep --budget 20GB --format json",
)  # fmt: skip
def verify(
    paths: Paths,
    /,
    *,
    format: Annotated[
        Literal["text", "jsonl", "json"],
        Parameter(
            group=OUTPUT,
            help="Output format: text, a JSON line for each archive, or one JSON document for programs.",
        ),
    ] = "text",
    proving: Proving = DEFAULT_PROVING,
    workers: Workers = None,
    cluster: Cluster = None,
    acknowledge: Annotated[
        bool, Parameter(negative=(), help="Record the faults as known. Later runs show them, but do not count them.")
    ] = False,
    reason: Annotated[str, Parameter(help="Reason to record with --acknowledge. [default: none]")] = "",
    storage: Storage = FROM_ENVIRONMENT,
) -> int:
    """Check that archives are complete and undamaged.

    Reports each fault with file, offset and reason. Also finds batches and archives that are missing. If a URL is among the paths, all
    paths are checked together: an archive is lost only if it is at none of them. Archives that are not at a place are delayed (not shipped
    yet), uploading, retired (by policy), elsewhere, or lost. Exit status 1 if something is lost, damaged or changed.

    The digests of `deedbox ship` show the removal of any archive until the time of the newest digest. Without digests, it
    cannot notice that the oldest archives were removed, that an instance was removed with its ledger, or that archives and
    ledger were changed together.
    """
    from consumer.cli.commands.verify import Options, verify_archives

    if reason and not acknowledge:
        raise Fatal(Exit.SETTINGS, "--reason works only with --acknowledge", "use both, or neither")
    storage.apply(paths)
    chosen = Options(
        format=format,
        deep=proving.deep,
        budget=proving.budget_bytes,
        public_keys=proving.public_key,
        reason=reason if acknowledge else None,
        workers=workers,
        cluster=cluster,
    )
    return verify_archives(paths, chosen)


@command("repair", MAINTAIN, "repair DIR --dry-run", "repair DIR")
def repair(
    paths: Paths,
    /,
    *,
    dry_run: Annotated[bool, Parameter(negative=(), help="Print the possible repairs, and change nothing.")] = False,
    storage: Storage = FROM_ENVIRONMENT,
) -> int:
    """Seal the archives of instances that have ended, and rebuild damaged archives.

    Archives in object storage are checked with --dry-run only. The original of a rebuilt archive is kept, and so are the bytes of a torn end. Exit status 1 if not everything can be repaired.
    """
    from consumer.archive.checking.report import show_repairs

    storage.apply(paths)
    return Exit.OK if show_repairs(paths, dry_run, print_line) else Exit.DAMAGED


@command("delete", MAINTAIN, "delete 38c0c8fd-8712-48bc-876f-3787b9d179e0 DIR --dry-run", "delete a1-00000007:41 DIR")
def delete(
    name: EventName,
    paths: LocalPaths,
    /,
    *,
    dry_run: Annotated[
        bool, Parameter(negative=(), help="Print the events that would be deleted, and delete nothing.")
    ] = False,
    yes: Annotated[bool, Parameter(negative=(), help="Delete all events with the id if there are several.")] = False,
) -> int:
    """Hide an event from all commands, for example for privacy.

    `deedbox undelete` shows it again, until `deedbox compact` removes its content for good. If the event
    is named by its position, its duplicates are deleted too. If several events have the id, nothing is deleted without --yes. Exit status 3 if there is no such event.
    """
    from consumer.cli.commands.named_events import delete_events

    return delete_events(paths, name, dry_run=dry_run, yes=yes)


@command("undelete", MAINTAIN, "undelete 38c0c8fd-8712-48bc-876f-3787b9d179e0 DIR", "undelete a1-00000007:41 DIR")
def undelete(name: EventName, paths: LocalPaths, /) -> int:
    """Show a deleted event again.

    Not possible after `deedbox compact`, which removes deleted events for good. Exit status 3 if there is no such deleted event.
    """
    from consumer.cli.commands.named_events import undelete_events

    return undelete_events(paths, name)


@command("compact", MAINTAIN, "compact DIR", "compact DIR/20261121", "compact --repack DIR")
def compact(
    paths: LocalPaths,
    /,
    *,
    repack: Annotated[
        bool, Parameter(negative=(), help="Merge small batches where this saves space, and remove nothing.")
    ] = False,
) -> int:
    """Remove the content of deleted events from sealed archives for good.

    All other events keep their positions. With --repack it merges small batches instead: same events, same positions, smaller
    files. The service repacks by itself. Exit status 1 if an archive could not be changed.
    """
    if repack:
        from consumer.archive.rewriting.repacker import show_repacking

        return show_repacking(paths, print_line)
    from consumer.cli.commands.compact import compact_archives

    return compact_archives(paths)
