"""Configuration: the only reader of the environment. Nothing here does I/O when imported."""
