"""The settings of the service, from a file, the environment and flags."""
