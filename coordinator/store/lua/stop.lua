-- A step does not begin, for its run is held.
-- KEYS: run
-- ARGV: step, known (what is known of its message, as JSON), ttl (ms)
local known = redis.call('HMGET', key.run, 'status', 'paused', SETTLED .. arg.step)
local status, paused, settled = known[1], known[2], known[3]
if status ~= 'running' or not paused or settled then return 0 end
redis.call('PEXPIRE', key.run, arg.ttl)
return redis.call('HSETNX', key.run, HELD .. arg.step, arg.known)
