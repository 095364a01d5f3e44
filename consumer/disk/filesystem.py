"""Which file systems are safe for archives: flock must work between all writers, and fsync must reach the disk.

Pure: it gets the number that statfs(2) returns. Source: statfs(2), linux/magic.h.
"""

_LOCAL = {
    0xEF53: "ext4",
    0x58465342: "xfs",
    0x9123683E: "btrfs",
    0xF2F52010: "f2fs",
    0x2FC12FC1: "zfs",
    0xCA451A4E: "bcachefs",
    0x794C7630: "overlayfs",  # as safe as the file system below it
}
_NETWORK = {
    0x6969: "nfs",
    0x517B: "smb",
    0xFE534D42: "smb2",
    0xFF534D42: "cifs",
    0x01021997: "9p",
    0x5346414F: "afs",
    0x00C36400: "ceph",
    0x0BD00BD0: "lustre",
    0x01161970: "gfs2",
    0x7461636F: "ocfs2",
    0x65735546: "fuse",
}
_MEMORY = {0x01021994: "tmpfs", 0x858458F6: "ramfs"}


def unsupported(kind: int) -> tuple[str, str] | None:
    """The name of a file system and why it may lose acknowledged events; None if it is safe."""
    if kind in _LOCAL:
        return None
    if kind in _MEMORY:
        return _MEMORY[kind], "it is in memory: a power cut loses everything"
    if kind in _NETWORK:
        return _NETWORK[
            kind
        ], "another host may not see the locks of this one, and may recover an archive that is being written"
    return f"{kind:#x}", "its locks and its fsync are unknown to Deedbox"
