"""The main job on one machine: a private broker, notifications from a seed, a crash, and what is left after it."""
