"""The heart: the six steps of a handoff. Begin with `handoff.py`."""
