-- Keep a lease; 0 if it is another's by now.
-- KEYS: outcome
-- ARGV: fence, lease (ms)
local known = redis.call('HMGET', key.outcome, 'state', 'fence')
if known[2] ~= arg.fence then
  if known[1] ~= 'done' then lives(arg.fence) end
  return 0
end
if known[1] ~= 'leased' then return 1 end
redis.call('HSET', key.outcome, 'until', digits(clock() + tonumber(arg.lease)))
return 1
