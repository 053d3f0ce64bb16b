-- A set has been worked on.
-- KEYS: set
-- ARGV: ttl (ms: as long as a message of it may still come)
if redis.call('EXISTS', key.set) == 0 then return 0 end
redis.call('HSET', key.set, 'finished', '1')
if redis.call('PTTL', key.set) > tonumber(arg.ttl) then redis.call('PEXPIRE', key.set, arg.ttl) end
return 1
