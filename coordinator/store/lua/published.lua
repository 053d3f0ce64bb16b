-- The first messages of a run are in the broker's hands.
-- KEYS: run, starting
-- ARGV: run_id
local first = redis.call('HGET', key.run, 'first')
if first and #first <= 65536 then redis.call('HSET', key.run, ORIGIN .. 'first', first) end
redis.call('HDEL', key.run, 'first')
if is_story(redis.call('HGET', key.run, 'flow') or '') and redis.call('HSETNX', key.run, 'open', '0') == 1 then
  announce()  -- nobody hears it
end
redis.call('ZREM', key.starting, arg.run_id)
return 1
