"""Proof that archives are complete, and a report of what is missing."""
