"""The registry: what is published, and what may be."""
