"""Forms that are made from contracts."""
