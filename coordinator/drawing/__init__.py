"""Drawings of flows and of runs: in a terminal, and as Mermaid."""
