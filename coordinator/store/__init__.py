"""Redis: leases and outcomes by idempotency key, live runs, history that is not yet in the journal."""
