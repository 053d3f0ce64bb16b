"""The contracts of the three reference systems."""
