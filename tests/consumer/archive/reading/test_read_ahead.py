import threading

from consumer.archive.reading.read_ahead import AHEAD, CHUNK_BYTES, ReadAhead

RAW = bytes(range(256)) * (12 * CHUNK_BYTES // 256)
WAIT_S = 20.0


class Fetch:
    """`asked`: the requests. `barrier`: each request waits for others."""

    def __init__(self, barrier: threading.Barrier | None = None) -> None:
        self.asked: list[tuple[int, int]] = []
        self.barrier = barrier

    def __call__(self, offset: int, size: int) -> bytes:
        self.asked.append((offset, size))
        if self.barrier is not None and offset >= 4 * CHUNK_BYTES:
            self.barrier.wait()
        return RAW[offset : offset + size]


def test_what_is_read_in_order_is_fetched_once_in_chunks() -> None:
    fetch = Fetch()
    ahead = ReadAhead(fetch, [(10, len(RAW) - 10)])
    at, sizes = 10, [6, 90, CHUNK_BYTES - 7, 3 * CHUNK_BYTES, 5]
    for size in sizes * 2:
        assert ahead.read(at, size) == RAW[at : at + size]
        at += size
    ahead.close()
    assert len(fetch.asked) == len(set(fetch.asked))
    assert all(size <= CHUNK_BYTES for _, size in fetch.asked)


def test_chunks_are_fetched_at_the_same_time() -> None:
    """amazon-mq/rabbitmq-stream-s3#351: one connection limits a reader."""
    ahead = ReadAhead(Fetch(threading.Barrier(AHEAD, timeout=WAIT_S)), [(0, len(RAW))])
    for at in range(0, len(RAW), CHUNK_BYTES):
        assert ahead.read(at, CHUNK_BYTES) == RAW[at : at + CHUNK_BYTES]
    ahead.close()


def test_a_reader_of_the_first_bytes_fetches_one_chunk() -> None:
    fetch = Fetch()
    ahead = ReadAhead(fetch, [(0, len(RAW))])
    ahead.read(0, 100)
    ahead.close()
    assert fetch.asked == [(0, CHUNK_BYTES)]


def test_ranges_that_are_not_planned_or_were_passed_are_not_there() -> None:
    ahead = ReadAhead(Fetch(), [(100, 50), (300, 50)])
    assert ahead.read(0, 10) is None
    assert ahead.read(110, 10) == RAW[110:120]
    assert ahead.read(300, 50) == RAW[300:350]
    assert ahead.read(110, 10) is None
    assert ahead.read(340, 20) is None
    ahead.close()
