-- Give a step another input, while it is parked, or held with its run.
-- KEYS: run, ended, history, outstanding
-- ARGV: step, flow, run_id, edit (JSON), before (the number of the edit that it takes the place of, 0: none), entry,
--       what ('agent contract/version'), where ('parked' or 'held'), budgets (that the step is in: words), ttl (ms)
-- Gives 'edited', or why it was not: 'settled', 'closed' (its budget is spent), 'running', 'gone' (neither parked nor held),
-- 'changed' (another edit came in between), or the status of the run.
local step, now = arg.step, digits(clock())
local known = redis.call('HMGET', key.run,
  'paused', SETTLED .. step, PARKED .. step, HELD .. step, EDIT .. step, BEGUN .. step)
local status, paused, settled, parked, held, edit, begun = status_of_run(), unpack(known)
if edit == arg.edit then return 'edited' end  -- this script once more
if status and status ~= 'running' and not undoes(step, status) then return status end
if settled then return 'settled' end
if is_any_spent(arg.budgets) then return 'closed' end
if arg.where == 'held' then
  if not (status and paused and held) then return begun and 'running' or 'gone' end
elseif status then
  if begun then return 'running' end
  if not parked then return 'gone' end
end
if (edit and edit_number(edit) or 0) ~= tonumber(arg.before) then return 'changed' end
if not status then  -- Redis has lost the run, or it has expired: the letter is all it takes
  redis.call('HSET', key.run, 'flow', arg.flow, 'status', 'running', 'started', now)
end
redis.call('HSET', key.run, EDIT .. step, arg.edit)
redis.call('PEXPIRE', key.run, arg.ttl)
if redis.call('HEXISTS', key.outstanding, arg.run_id .. '|' .. step) == 1 then open_step(step, now, arg.what) end
tell(arg.entry)
return 'edited'
