"""Check that archives are complete, and report what is missing."""
