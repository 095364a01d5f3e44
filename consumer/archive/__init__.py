"""The durable path: names, rolling, writing, reading, recovery and checks of archives. FORMAT.md specifies their content."""
