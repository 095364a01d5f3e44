"""The formats of other systems, and scanning past bytes that are no record."""
