"""Retention: which archives the policy removes, when that is safe, and the removal."""
