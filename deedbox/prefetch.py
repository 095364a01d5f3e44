"""Work over many items, done ahead of its reader in threads or processes. See `consumer.query.prefetch`."""

from consumer.query.prefetch import epochs, scan

__all__ = ["epochs", "scan"]
