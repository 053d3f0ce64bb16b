-- Keep a key at least that long, where it is there.
-- KEYS: kept
-- ARGV: ttl (ms)
if redis.call('EXISTS', key.kept) == 0 then return 0 end
keep(key.kept, arg.ttl)
return 1
