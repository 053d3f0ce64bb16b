-- Keep a good outcome, for those that fall back to it.
-- KEYS: kept
-- ARGV: record (a JSON text), ttl (ms)
redis.call('SET', key.kept, '{"at":' .. digits(clock()) .. ',"record":' .. arg.record .. '}', 'PX', arg.ttl)
return 1
