-- A step waits in the dead-letter queue. KEYS: run, history. ARGV: step, reason, entry, flow, now, ttl, history ttl (ms), budgets
local run, field = KEYS[1], 'p:' .. ARGV[1]
local status = redis.call('HGET', run, 'status')
local fact = string.find(ARGV[1], '@', 1, true) and string.sub(ARGV[4], 1, 3) ~= 'on:'
local undoes = status == 'compensating' and string.sub(ARGV[1], -5) == '.undo'
if status and status ~= 'running' and not undoes and not fact then return status end
if redis.call('HEXISTS', run, 's:' .. ARGV[1]) == 1 then return 'settled' end
for at = 8, #ARGV do  -- something has taken its place already
  if redis.call('HEXISTS', run, 'j:' .. ARGV[at] .. '.one') == 1 then return 'settled' end
end
redis.call('HDEL', run, 'r:' .. ARGV[1], 'h:' .. ARGV[1])
if not status then redis.call('HSET', run, 'flow', ARGV[4], 'status', 'running', 'started', ARGV[5]) end
local known = redis.call('HGET', run, field)
if known == ARGV[2] then return 'parked' end
if not known then redis.call('HINCRBY', run, 'parked', 1) end
redis.call('HSET', run, field, ARGV[2])
redis.call('PEXPIRE', run, ARGV[6])
if ARGV[3] ~= '' then
  redis.call('XADD', KEYS[2], '*', 'entry', ARGV[3])
  redis.call('PEXPIRE', KEYS[2], ARGV[7])
end
return 'parked'
