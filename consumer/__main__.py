"""`python -m consumer` is `deedbox`."""

from consumer.cli import main

main()
