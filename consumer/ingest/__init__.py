"""From deliveries to durable batches to acks. Does not know the archive: it receives an object that can append."""
