"""Steps on seal: what happens to an archive after it was sealed, in the configured order."""
