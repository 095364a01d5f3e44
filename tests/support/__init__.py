"""What several tests need: no test of its own."""
