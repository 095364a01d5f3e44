"""Object storage: URLs, stores and their settings. The only package that imports obstore."""
