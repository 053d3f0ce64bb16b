"""Cases: what has happened, written as a test that makes it happen again."""
