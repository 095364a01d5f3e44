"""Read the events that are archived after a position, across rolls, instances and directories."""
