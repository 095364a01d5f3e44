"""Write archives durably: one writer thread appends batches to the archives of one instance; recovery seals archives that were left open."""
