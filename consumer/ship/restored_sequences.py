"""The sequences of restored instances: a service that runs on a restored directory must not use a sequence again.

Role: `fetch` may restore only some of the archives, and the ledger is not shipped. So the ledger in the new directory gets the highest
sequence that the destinations have. Invariant: the ledger of a running instance is not changed.
"""

from collections.abc import Mapping
from pathlib import Path

from consumer.archive import naming
from consumer.archive.ledger import Ledger
from consumer.disk.durable import Disk, held
from consumer.errors import Exit, Fatal


def refuse_running(disk: Disk, directory: Path, instances: set[str]) -> None:
    """Raises Fatal if one of the instances runs in the directory: it would give the sequences of restored archives to new ones."""
    for instance in sorted(instances):
        path = naming.lock_path(directory, instance)
        if not path.exists():
            continue
        with held(disk, path) as free:
            if not free:
                what = f"{directory}: instance {instance} is running here, and archives of {instance} would be restored"
                raise Fatal(Exit.INSTANCE, what, "stop it first, or restore to another directory")


def note_sequences(disk: Disk, directory: Path, highest: Mapping[str, int]) -> None:
    """Note the highest known sequence of each instance in its ledger. Raises Fatal if an instance is running, and OSError."""
    for instance, sequence in sorted(highest.items()):
        with held(disk, naming.lock_path(directory, instance)) as free:
            if not free:
                refuse_running(disk, directory, {instance})
                continue
            ledger = Ledger(disk, directory, instance)
            if ledger.lost or ledger.state.sequence < sequence:
                ledger.update(sequence=max(sequence, ledger.state.sequence))
