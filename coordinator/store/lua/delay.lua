-- A step is sent after a while. Where it is sent once more, the later moment counts: whichever comes first, nothing stands still before.
-- KEYS: run
-- ARGV: step, wait (ms), ttl (ms)
local till, known = clock() + tonumber(arg.wait), tonumber(redis.call('HGET', key.run, DELAYED .. arg.step) or '0') or 0
if till > known then redis.call('HSET', key.run, DELAYED .. arg.step, digits(till)) end
keep(key.run, arg.ttl)
return 1
