-- Give a step another input, while it is parked, or held with its run. KEYS: run, history, outstanding.
-- ARGV: step, edit (JSON), the number of the edit that it takes the place of (0: none), entry, flow, now, ttl, history ttl (ms),
--       run id, 'agent contract/version', 'parked' or 'held', then the budgets that the step is in
-- Gives 'edited', or why it was not: 'settled', 'closed' (its budget is spent), 'running', 'gone' (neither parked nor held),
-- 'changed' (another edit came in between), or the status of the run.
local run, step, now = KEYS[1], ARGV[1], ARGV[6]
local known = redis.call('HMGET', run, 'status', 's:' .. step, 'p:' .. step, 'h:' .. step, 'i:' .. step, 'r:' .. step, 'paused')
local status, settled, parked, held, edit, runs = known[1], known[2], known[3], known[4], known[5], known[6]
if edit == ARGV[2] then return 'edited' end  -- this script once more
-- The number of an edit; of what is none it is above all: it is not replaced
local function number(text)
  local read, edit = pcall(cjson.decode, text)
  return read and type(edit) == 'table' and tonumber(edit.number) or math.huge
end
local undoes = status == 'compensating' and string.sub(step, -5) == '.undo'
if status and status ~= 'running' and not undoes then return status end
if settled then return 'settled' end
for at = 12, #ARGV do
  if redis.call('HEXISTS', run, 'j:' .. ARGV[at] .. '.one') == 1 then return 'closed' end
end
if ARGV[11] == 'held' then
  if not (status and known[7] and held) then return runs and 'running' or 'gone' end
elseif status then
  if runs then return 'running' end
  if not parked then return 'gone' end
end
if (edit and number(edit) or 0) ~= tonumber(ARGV[3]) then return 'changed' end
if not status then  -- Redis has lost the run, or it has expired: the letter is all it takes
  redis.call('HSET', run, 'flow', ARGV[5], 'status', 'running', 'started', now)
end
redis.call('HSET', run, 'i:' .. step, ARGV[2])
redis.call('PEXPIRE', run, ARGV[7])
if redis.call('HEXISTS', KEYS[3], ARGV[9] .. '|' .. step) == 1 then
  redis.call('HSET', KEYS[3], ARGV[9] .. '|' .. step, now .. ' ' .. ARGV[10])
  redis.call('PEXPIRE', KEYS[3], ARGV[7])
end
redis.call('XADD', KEYS[2], '*', 'entry', ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[8])
return 'edited'
