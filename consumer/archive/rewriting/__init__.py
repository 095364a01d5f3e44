"""Write sealed archives again: without deleted events, with larger batches, or without damage."""
