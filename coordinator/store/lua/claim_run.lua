-- May this step still run? KEYS: run, outstanding.
-- ARGV: step, flow, now, ttl (ms), run id, the number of the edit that the message has (0: none), then the budgets that it is in
-- A run that is not there (its record was lost or has expired) is taken up again: the message is all it takes.
-- What hears an event of a flow goes on whatever becomes of the flow's run; a story that an event began is one with its run
local run = KEYS[1]
local status = redis.call('HGET', run, 'status')
local fact = string.find(ARGV[1], '@', 1, true) and string.sub(ARGV[2], 1, 3) ~= 'on:'
-- The outcome of this step; of one that was let go (let_go.lua) '#' and its digest
local function outcome()
  local known = redis.call('HMGET', run, 's:' .. ARGV[1], 'n:' .. ARGV[1])
  if known[1] == '' then return '#' .. (string.match(known[2] or '', ' (%S+)$') or '') end
  return known[1]
end
local function forget()
  if redis.call('HDEL', KEYS[2], ARGV[5] .. '|' .. ARGV[1]) == 1 then redis.call('HINCRBY', run, 'open', -1) end
end
if not status then
  redis.call('HSET', run, 'flow', ARGV[2], 'status', 'running', 'started', ARGV[3], 'r:' .. ARGV[1], ARGV[3])
  redis.call('PEXPIRE', run, ARGV[4])
  return {'open', ''}
end
if fact and status ~= 'running' then
  local known = outcome()
  if redis.call('PTTL', run) < tonumber(ARGV[4]) then redis.call('PEXPIRE', run, ARGV[4]) end
  return {known and 'settled' or 'open', known or ''}
end
-- While a run is compensating, only what undoes its steps runs
local undoes = status == 'compensating' and string.sub(ARGV[1], -5) == '.undo'
if status == 'compensating' and redis.call('HEXISTS', run, 'x:' .. ARGV[1]) == 1 then
  return {'settled', outcome() or ''}  -- it is to be undone, and perhaps nobody lived to send that
end
if status ~= 'running' and not undoes then
  forget()
  local made = status == 'completed' and outcome() or ''  -- its events may not be on their way, unless it was let go
  return {status, string.sub(made, 1, 1) ~= '#' and made or ''}
end
redis.call('PEXPIRE', run, ARGV[4])
local settled = outcome()
if settled then return {'settled', settled} end
if not fact and redis.call('HEXISTS', run, 'paused') == 1 then return {'paused', ''} end
for at = 7, #ARGV do
  if redis.call('HEXISTS', run, 'j:' .. ARGV[at] .. '.one') == 1 then
    forget()
    return {'closed', ''}
  end
end
-- The number of an edit; of what is none it is above all, so that whoever gets it says so
local function number(text)
  local read, edit = pcall(cjson.decode, text)
  return read and type(edit) == 'table' and tonumber(edit.number) or math.huge
end
-- A person has given the step another input: no message with an older one runs any more
local edit = redis.call('HGET', run, 'i:' .. ARGV[1])
if edit and number(edit) > tonumber(ARGV[6]) then return {'edited', edit} end
redis.call('HSET', run, 'r:' .. ARGV[1], ARGV[3])
return {'open', ''}
