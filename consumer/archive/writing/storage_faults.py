"""StorageFault from an error of the disk: the failure, and the action of the operator."""

import errno
from pathlib import Path

from codec.counted import counted
from consumer.errors import StorageFault, StorageReason


def storage_fault(error: OSError, path: Path, size: int = 0) -> StorageFault:
    """The fault that an error of the disk means. `size`: the bytes that were to be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        what, do = f"{path}: {error.strerror}", "free space; consuming resumes by itself"
        return StorageFault(StorageReason.DISK_FULL, what, do, size)
    if error.errno == errno.EFBIG:
        what = f"{path}: {counted(size, 'byte')}: {error.strerror}"
        return StorageFault(StorageReason.FILE_LIMIT, what, "raise the limit of the file size (ulimit -f)", size)
    if error.errno in (errno.ESTALE, errno.ENOENT):
        do = "find the process that changes the archive directory; the events go to a new archive"
        return StorageFault(StorageReason.ARCHIVE_CHANGED, f"{path}: {error.strerror}", do, size)
    do = "check the device; consuming resumes by itself"
    return StorageFault(StorageReason.DISK_ERROR, f"{path}: {error.strerror or error}", do, size)
