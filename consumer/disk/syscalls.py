"""System calls that Python does not provide, through the C library. Only `durable` uses them.

Sources: rename(2), statfs(2).
"""

import ctypes
import errno
import os
from pathlib import Path

_AT_FDCWD, _RENAME_NOREPLACE = -100, 1
_NO_SUCH_RENAME = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}


def file_system_type(path: Path) -> int:
    """`f_type` of statfs(2); 0 if the C library does not provide it. Raises OSError."""
    buffer = (ctypes.c_ulong * 64)()  # struct statfs has 120 bytes, and `f_type` is its first word
    try:
        failed = ctypes.CDLL(None, use_errno=True).statfs(os.fsencode(path), buffer)
    except AttributeError:
        return 0
    if failed:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(path))
    return buffer[0] & 0xFFFF_FFFF


def rename_noreplace(source: Path, target: Path) -> None:
    """rename(2) that fails with EEXIST; where the file system has no renameat2 flags, link(2) and unlink(2)."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:  # a C library without it
        code = errno.ENOSYS
    else:
        if renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE) == 0:
            return
        code = ctypes.get_errno()
    if code not in _NO_SUCH_RENAME:
        raise OSError(code, os.strerror(code), str(source), None, str(target))
    os.link(source, target)
    os.unlink(source)
