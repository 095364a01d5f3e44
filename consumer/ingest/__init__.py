"""From the broker to batches to acknowledgements. Knows nothing of disks: it is handed something that has `append`."""
