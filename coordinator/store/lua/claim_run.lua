-- May this step still run?
-- KEYS: run, ended, outstanding
-- ARGV: step, flow, run_id, edit (the number of the edit that the message has, 0: none), budgets (that the step is in: words),
--       replays (of the message), ttl (ms)
-- A run that is not there (its record was lost or has expired) is taken up again: the message is all it takes. One that has ended
-- is not, however long ago. Of one that goes on, the message of a step that undoes says that it was cancelled, and Redis has lost that.
-- Gives {'open' or why not, the outcome, the edit, or why it is parked}; as the third what time it is (ms) where it is open, and
-- where the run is undone, or was, '1' if the step has no outcome there
local step, now = arg.step, digits(clock())
local status = status_of_run()

-- Whether what is parked waits for a person, so that a copy of its message does not run it. A set of events that was not complete is
-- worked on once it is.
local function waits_for_replay(reason)
  local read, parked = pcall(cjson.decode, reason)
  return read and parked.kind ~= 'incomplete' and tonumber(arg.replays) <= (parked.replays or 0)
end

-- The outcome of this step; of one that was let go (let_go.lua) '#' and its digest
local function outcome()
  local known = redis.call('HMGET', key.run, SETTLED .. step, SETTLED_BY .. step)
  if known[1] == '' then return '#' .. (string.match(known[2] or '', ' (%S+)$') or '') end
  return known[1]
end

if string.sub(step, -5) == '.undo' and (not status or status == 'running') then
  local count = redis.call('HGET', key.run, 'undoable') or '0'
  redis.call('HSET', key.run, 'flow', arg.flow, 'status', 'compensating', 'undoing', 1, 'undo_at', count)
  redis.call('HDEL', key.run, 'first', 'paused', ORIGIN .. 'first')
  close_all_steps(arg.flow)
  status = 'compensating'
end
if not status then
  redis.call('HSET', key.run, 'flow', arg.flow, 'status', 'running', 'started', now, BEGUN .. step, now)
  redis.call('PEXPIRE', key.run, arg.ttl)
  return {'open', '', now}
end
local outlives = outlives_run(step, arg.flow)
if outlives and status ~= 'running' then
  local known = outcome()
  keep(key.run, arg.ttl)
  return {known and 'settled' or 'open', known or '', now}
end
if status == 'compensating' and redis.call('HEXISTS', key.run, UNDONE .. step) == 1 then
  return {'settled', outcome() or ''}  -- it is to be undone, and its worker may have died before it sent that
end
if status ~= 'running' and not undoes(step, status) then
  close_step(step)
  local known = outcome()
  local made = status == 'completed' and known or ''  -- its events may not be on their way, unless it was let go
  return {status, string.sub(made, 1, 1) ~= '#' and made or '', not known and is_compensated() and '1' or ''}
end
redis.call('PEXPIRE', key.run, arg.ttl)
local settled = outcome()
if settled then return {'settled', settled} end
local paused, parked, edit, lost = unpack(redis.call('HMGET', key.run, 'paused', PARKED .. step, EDIT .. step, LOST .. step))
if not outlives and paused then return {'paused', ''} end
if is_any_spent(arg.budgets) then
  close_step(step)
  return {'closed', ''}
end
-- A person has given the step another input: no message with an older one runs any more
if edit and edit_number(edit) > tonumber(arg.edit) then return {'edited', edit} end
if parked and waits_for_replay(parked) then return {'parked', parked} end
if lost then return {'lost', lost, now} end
redis.call('HSET', key.run, BEGUN .. step, now)
return {'open', '', now}
