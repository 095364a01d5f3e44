"""Read archives: whole batches, the gaps between them, and the indexes in their footers."""
