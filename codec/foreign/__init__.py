"""The file formats of other systems. Each reader continues after damage."""
