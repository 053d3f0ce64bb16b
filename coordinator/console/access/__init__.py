"""Who may what in the console."""
