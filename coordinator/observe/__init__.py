"""What can be said of flows, runs and the landscape: read models, nothing of terminals or pages."""
