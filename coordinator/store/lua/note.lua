-- Append to the history.
-- KEYS: history
-- ARGV: entry, ttl (ms)
tell(arg.entry)
return 1
