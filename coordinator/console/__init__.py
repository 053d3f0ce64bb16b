"""The console: pages for people and an HTTP API for programs, over one Python API."""
