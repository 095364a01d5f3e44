import errno
import os
from pathlib import Path

import pytest

from consumer.archive.writing.storage_faults import storage_fault
from consumer.errors import StorageReason

PATH = Path("one-00000001.kvp.zst.open")


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, StorageReason.DISK_FULL),
        (errno.EDQUOT, StorageReason.DISK_FULL),
        (errno.EFBIG, StorageReason.FILE_LIMIT),
        (errno.ESTALE, StorageReason.ARCHIVE_CHANGED),
        (errno.ENOENT, StorageReason.ARCHIVE_CHANGED),
        (errno.EIO, StorageReason.DISK_ERROR),
    ],
)
def test_each_error_of_the_disk_has_a_reason_a_path_and_an_action(number: int, reason: StorageReason) -> None:
    fault = storage_fault(OSError(number, os.strerror(number)), PATH, 9)
    assert (fault.reason, fault.size, str(PATH) in fault.what, bool(fault.do)) == (reason, 9, True, True)
