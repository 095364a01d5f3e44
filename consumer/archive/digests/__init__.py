"""Digests: which archives an instance has sealed, as a chain of small signed documents that shows the removal of any archive."""
