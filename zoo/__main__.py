"""Run the `zoo` program by `python -m zoo`."""

from zoo.cli import main

main()
