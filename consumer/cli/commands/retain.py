"""The command `retain`: apply retention to a directory once, and report what goes and what stays."""

from collections.abc import Sequence
from pathlib import Path

from codec.counted import counted
from codec.digest import LOCAL
from consumer.archive.location import Location
from consumer.cli.printing import print_line, report_error
from consumer.config.sections import Settings
from consumer.errors import Exit, Fatal
from consumer.objects.stores import configure
from consumer.ship.destination_urls import destination_urls
from consumer.ship.retention.building import retention_of
from consumer.ship.retention.retention import Result


def retain_archives(locations: Sequence[Location], to: Sequence[str], settings: Settings, dry_run: bool) -> Exit:
    """Retain and report. DAMAGED if an archive that a limit asks for must stay. Raises DeedboxError and OSError."""
    configure(settings.objects)
    directories = [one for one in locations if isinstance(one, Path)]
    texts = [*to, *(str(one) for one in locations if not isinstance(one, Path))] or list(settings.ship.destinations)
    if len(directories) != 1:
        what = f"{counted(len(directories), 'directory', 'directories')} of archives named, 1 expected"
        do = "name the directory whose digests record what is removed, and name destinations that are directories with --to"
        raise Fatal(Exit.SETTINGS, what, do)
    root = directories[0].absolute()
    if not texts:
        report_error(
            f"{root}: no destination is named, so archives are removed of which no other copy is known; see --to"
        )
    urls = destination_urls(texts, root)
    retention = retention_of(root, settings.retain, settings.ship, urls)
    if not retention.rules:
        print_line("no limit is set, nothing is removed")
        return Exit.OK
    result = retention.run(dry_run)
    _print(result, dry_run, root)
    return Exit.DAMAGED if list(result.blocked()) else Exit.OK


def _print(result: Result, dry_run: bool, root: Path) -> None:
    """A line for each archive that goes or must stay; with `dry_run` for each archive."""
    for where, decisions in result.decisions.items():
        place = root if where == LOCAL else where
        removed = {id(one) for there, one in result.removed if there == where}
        for one in decisions:
            if one.goes and (dry_run or id(one) in removed):
                word = "would go" if dry_run else "removed"
            elif one.wanted or dry_run:
                word = "stays"
            else:
                continue
            print_line(f"{word}: {place}/{one.candidate.name}: {counted(one.candidate.size, 'byte')}: {one.reason}")
    if dry_run:
        for path, reason in result.others.items():
            print_line(f"stays: {path}: {reason}")
    _print_totals(result, dry_run)


def _print_totals(result: Result, dry_run: bool) -> None:
    for where, decisions in result.decisions.items():
        gone = [one.candidate.size for one in decisions if one.goes]
        kept = [one.candidate.size for one in decisions if not one.goes]
        place = "here" if where == LOCAL else f"at {where}"
        verb = "would be removed" if dry_run else "removed"
        print_line(
            f"{place}: {counted(len(gone), 'archive')} with {counted(sum(gone), 'byte')} {verb}, "
            f"{counted(len(kept), 'archive')} with {counted(sum(kept), 'byte')} kept"
        )
