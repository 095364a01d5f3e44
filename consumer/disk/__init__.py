"""Durable access to a disk: sync, lock, rename, and which file systems support them. No other package calls the kernel for these."""
