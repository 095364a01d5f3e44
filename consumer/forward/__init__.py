"""Lines of watched files as messages: published with confirms, and stored positions of the confirmed ones."""
