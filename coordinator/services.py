"""Services: the parts of one process, as a value. They are made in the composition root (runtime/engine.py) only."""
