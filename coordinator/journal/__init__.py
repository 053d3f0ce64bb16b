"""The journal: history, dead letters and operator actions, in SQL, for good."""
