-- Write what is seen of a step that is at work.
-- KEYS: progress
-- ARGV: step, said (a JSON text), ttl (ms)
redis.call('HSET', key.progress, arg.step, '{"at":' .. digits(clock()) .. ',"said":' .. arg.said .. '}')
redis.call('PEXPIRE', key.progress, arg.ttl)
return 1
