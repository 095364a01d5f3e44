"""Counters of ingest since the start of the process. They outlive generations."""

from collections import deque
from dataclasses import dataclass, field

SYNC_SAMPLES = 4096


@dataclass
class Counters:
    """Counts of the work of ingest, and of the part that was already reported.

    `syncs`: durations of the last syncs in seconds. `unexplained`: exchanges whose messages no binding of Deedbox explains.
    """

    archived: int = 0
    acked: int = 0
    bytes: int = 0
    batches: int = 0
    returned: int = 0
    marked: int = 0
    silence_reported: bool = False
    unexplained: set[str] = field(default_factory=set)
    syncs: deque[float] = field(default_factory=lambda: deque(maxlen=SYNC_SAMPLES))
