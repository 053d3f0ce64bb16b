"""The tests: unit and eager need no server; integration, chaos and smoke use the real ones of `tests.servers`."""
