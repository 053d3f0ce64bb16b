-- A parked step, or an event that nobody heard, is on its way again. KEYS: run, history. ARGV: step, entry, ttl, history ttl (ms)
local status = redis.call('HGET', KEYS[1], 'status')
local fact = string.find(ARGV[1], '[@!]') and string.sub(redis.call('HGET', KEYS[1], 'flow') or '', 1, 3) ~= 'on:'
if status == 'cancelled' and not fact then return status end
if redis.call('HDEL', KEYS[1], 'p:' .. ARGV[1]) == 1 then redis.call('HINCRBY', KEYS[1], 'parked', -1) end
redis.call('XADD', KEYS[2], '*', 'entry', ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
if status == 'running' then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return fact and status and 'running' or status or ''
