"""Drawings: the geometry of what pages draw, as plain values."""
