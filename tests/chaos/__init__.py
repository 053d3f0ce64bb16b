"""Tests that take servers and processes down while work is under way."""
