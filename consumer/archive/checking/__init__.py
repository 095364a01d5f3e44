"""Check that archives are complete, and report missing archives and events."""
