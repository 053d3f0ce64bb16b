-- Add a part to a set of an agent. KEYS: set. ARGV: part, record, ttl (ms), the most parts
-- Gives {'added', 'again' (it was there), 'conflict' (it was there with another content) or 'full', how many there are}
local field = 'p:' .. ARGV[1]
local count = tonumber(redis.call('HGET', KEYS[1], 'count') or '0')
local known = redis.call('HGET', KEYS[1], field)
if known then return {known == ARGV[2] and 'again' or 'conflict', tostring(count)} end
if count >= tonumber(ARGV[4]) then return {'full', tostring(count)} end
redis.call('HSET', KEYS[1], field, ARGV[2])
count = redis.call('HINCRBY', KEYS[1], 'count', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'added', tostring(count)}
