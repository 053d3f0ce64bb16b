"""Processes: workers, the coordinator process, eager mode and the embedded default."""
