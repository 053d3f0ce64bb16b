-- May this step still run?
-- KEYS: run, outstanding
-- ARGV: step, flow, run_id, edit (the number of the edit that the message has, 0: none), budgets (that the step is in: words),
--       now (ms), ttl (ms)
-- A run that is not there (its record was lost or has expired) is taken up again: the message is all it takes.
-- Gives {'open' or why not, the outcome or the edit}
local step = arg.step
local status = redis.call('HGET', key.run, 'status')

-- The outcome of this step; of one that was let go (let_go.lua) '#' and its digest
local function outcome()
  local known = redis.call('HMGET', key.run, SETTLED .. step, SETTLED_BY .. step)
  if known[1] == '' then return '#' .. (string.match(known[2] or '', ' (%S+)$') or '') end
  return known[1]
end

if not status then
  redis.call('HSET', key.run, 'flow', arg.flow, 'status', 'running', 'started', arg.now, BEGUN .. step, arg.now)
  redis.call('PEXPIRE', key.run, arg.ttl)
  return {'open', ''}
end
local outlives = outlives_run(step, arg.flow)
if outlives and status ~= 'running' then
  local known = outcome()
  keep(key.run, arg.ttl)
  return {known and 'settled' or 'open', known or ''}
end
if status == 'compensating' and redis.call('HEXISTS', key.run, UNDONE .. step) == 1 then
  return {'settled', outcome() or ''}  -- it is to be undone, and its worker may have died before it sent that
end
if status ~= 'running' and not undoes(step, status) then
  close_step(step)
  local made = status == 'completed' and outcome() or ''  -- its events may not be on their way, unless it was let go
  return {status, string.sub(made, 1, 1) ~= '#' and made or ''}
end
redis.call('PEXPIRE', key.run, arg.ttl)
local settled = outcome()
if settled then return {'settled', settled} end
if not outlives and redis.call('HEXISTS', key.run, 'paused') == 1 then return {'paused', ''} end
if is_any_spent(arg.budgets) then
  close_step(step)
  return {'closed', ''}
end
-- A person has given the step another input: no message with an older one runs any more
local edit = redis.call('HGET', key.run, EDIT .. step)
if edit and edit_number(edit) > tonumber(arg.edit) then return {'edited', edit} end
redis.call('HSET', key.run, BEGUN .. step, arg.now)
return {'open', ''}
