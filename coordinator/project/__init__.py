"""A project of one's own: what ``coordinator new`` writes."""
