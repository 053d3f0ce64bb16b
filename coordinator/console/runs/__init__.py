"""Runs: their list, each of them, what can be done to them, and two of them side by side."""
