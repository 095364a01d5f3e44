"""Publish archived events again: `deedbox replay`, and the stage of `run` that publishes to another broker."""
