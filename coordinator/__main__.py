"""``python -m handoffs.coordinator`` is the command line."""

from handoffs.coordinator.cli import main

main()
