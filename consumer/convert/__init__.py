"""Files of other systems to events, and events to files of other systems."""
