"""`python -m zoo` is the `zoo` program."""

from zoo.cli import main

main()
