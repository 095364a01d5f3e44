"""Lines of watched files as messages: published with confirms, remembered until the broker has confirmed them."""
