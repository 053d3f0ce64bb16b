"""Measures: one module each, that says what is measured, how, and by which bars."""
