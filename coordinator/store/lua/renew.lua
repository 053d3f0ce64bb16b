-- Keep a lease; 0 if it is another's by now. KEYS: outcome. ARGV: fence, lease (ms)
local known = redis.call('HMGET', KEYS[1], 'state', 'fence')
if known[2] ~= ARGV[1] then return 0 end
if known[1] ~= 'leased' then return 1 end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'until', time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[2]))
return 1
