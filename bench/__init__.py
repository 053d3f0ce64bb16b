"""Benchmarks: side by side, in one run, against real servers."""
