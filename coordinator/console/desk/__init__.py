"""The desk on pages: dead letters by cause, one letter, and what is done with many."""
