"""The dead-letter desk: what is parked, and how it goes on."""
