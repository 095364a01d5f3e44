"""Batches of a search in groups: one call of an executor reads one group, because a call for each small batch costs more than reading it.

Invariants: groups keep the order of the requests. The decompressed batches of a group have at most GROUP_BYTES, unless it is a single batch.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing

from consumer.archive.reading.in_threads import in_threads
from consumer.objects.url import ObjectUrl
from consumer.query.batches import BatchEvents, BatchRequest, read_batch, with_fetched_frame

GROUP_BYTES = 4 << 20
GROUP_MAX = 64
GROUPS_AHEAD_MAX = 64  # so that at most 256 MiB of decompressed batches wait, whatever the size of the cluster


def grouped(requests: Iterable[BatchRequest]) -> Iterator[list[BatchRequest]]:
    """The requests in groups."""
    group: list[BatchRequest] = []
    size = 0
    for request in requests:
        raw = request.batch.header.raw
        if group and (size + raw > GROUP_BYTES or len(group) == GROUP_MAX):
            yield group
            group, size = [], 0
        group.append(request)
        size += raw
    if group:
        yield group


def read_group(requests: Sequence[BatchRequest], bodies: bool = True) -> list[BatchEvents]:
    """The events of each batch that its query accepts. Without `bodies`, they are only good for counting."""
    if not any(isinstance(request.path, ObjectUrl) and request.batch.frame is None for request in requests):
        return [_read(request, bodies) for request in requests]
    with closing(in_threads(with_fetched_frame, requests)) as fetched:
        return [_read(request, bodies) for request in fetched]


def _read(request: BatchRequest, bodies: bool) -> BatchEvents:
    if bodies:
        return read_batch(request)
    read = read_batch(request, request.query.fields())
    return read._replace(
        events=[(number, event._replace(id="", header=b"", body=b"")) for number, event in read.events]
    )
