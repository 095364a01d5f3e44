"""The durable path: names, rolling, writing, reading, recovery and proof of archives. FORMAT.md says what is in them."""
