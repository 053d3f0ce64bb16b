-- A step does not begin, for its run is held. KEYS: run. ARGV: step, what is known of its message (JSON), ttl (ms)
local known = redis.call('HMGET', KEYS[1], 'status', 'paused', 's:' .. ARGV[1])
if known[1] ~= 'running' or not known[2] or known[3] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return redis.call('HSETNX', KEYS[1], 'h:' .. ARGV[1], ARGV[2])
