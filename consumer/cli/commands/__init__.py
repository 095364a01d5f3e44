"""The work of each command. A command line is defined in `consumer.cli`, which imports these modules only when the command runs."""
