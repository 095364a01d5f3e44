"""Worker processes for tests: a fork of this process, which has threads, may inherit a lock that is never released."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context


def processes(count: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(count, mp_context=get_context("forkserver"))
