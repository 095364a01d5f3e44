"""Reading on from a position: what is archived after it, across rolls, instances and directories."""
