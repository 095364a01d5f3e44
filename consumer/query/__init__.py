"""Finding events in archives, sealed and open. Nothing here writes to an archive. Programs use it as `deedbox` (see `consumer.api`)."""
