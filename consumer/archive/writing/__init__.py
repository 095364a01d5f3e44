"""The durable path: one writer thread appends batches to the archives of one instance; recovery closes what a dead instance left."""
