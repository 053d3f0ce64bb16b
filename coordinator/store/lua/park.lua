-- A step waits in the dead-letter queue. KEYS: run, history, outstanding.
-- ARGV: step, reason, entry, flow, now, ttl, history ttl (ms), run id, marked ('1': it was marked as parked for that reason
--       before), then the budgets that it is in
-- Gives 'parked'; 'gone' where that mark is gone: it is on its way again; or why it waits for nobody: then it is not
-- outstanding either.
local run, field = KEYS[1], 'p:' .. ARGV[1]
local status = redis.call('HGET', run, 'status')
local fact = string.find(ARGV[1], '@', 1, true) and string.sub(ARGV[4], 1, 3) ~= 'on:'
local undoes = status == 'compensating' and string.sub(ARGV[1], -5) == '.undo'
local function ended(what)
  if redis.call('HDEL', KEYS[3], ARGV[8] .. '|' .. ARGV[1]) == 1 then redis.call('HINCRBY', run, 'open', -1) end
  return what
end
if status and status ~= 'running' and not undoes and not fact then return ended(status) end
if redis.call('HEXISTS', run, 's:' .. ARGV[1]) == 1 then return ended('settled') end
for at = 10, #ARGV do  -- something has taken its place already
  if redis.call('HEXISTS', run, 'j:' .. ARGV[at] .. '.one') == 1 then return ended('settled') end
end
local known = redis.call('HGET', run, field)
if ARGV[9] == '1' and status and known ~= ARGV[2] then return 'gone' end
redis.call('HDEL', run, 'r:' .. ARGV[1], 'h:' .. ARGV[1])
if not status then redis.call('HSET', run, 'flow', ARGV[4], 'status', 'running', 'started', ARGV[5]) end
if known == ARGV[2] then return 'parked' end
if not known then redis.call('HINCRBY', run, 'parked', 1) end
redis.call('HSET', run, field, ARGV[2])
redis.call('PEXPIRE', run, ARGV[6])
if ARGV[3] ~= '' then
  redis.call('XADD', KEYS[2], '*', 'entry', ARGV[3])
  redis.call('PEXPIRE', KEYS[2], ARGV[7])
end
return 'parked'
