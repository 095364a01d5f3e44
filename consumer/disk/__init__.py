"""The promises of a disk: sync, lock, rename, and what a file system can keep. No module outside asks the kernel for them."""
