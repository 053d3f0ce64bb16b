"""Who gets what next, and in which version of its contract."""
