"""Reading archives: batches where they are whole, gaps where they are not, and what their footers say."""
