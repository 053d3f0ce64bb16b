"""The work that the service orchestrates: one package for each reference system."""
