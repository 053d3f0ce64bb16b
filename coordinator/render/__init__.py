"""Read models in a terminal, and as Mermaid."""
