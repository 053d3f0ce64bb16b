-- A step waits in the dead-letter queue.
-- KEYS: run, ended, history, outstanding
-- ARGV: step, flow, run_id, reason (JSON), entry, marked ('1': it was marked as parked for that reason before),
--       settled ('1': also where the step has its outcome, for what follows it cannot be sent), budgets (that the step is in:
--       words), ttl (ms)
-- Gives 'parked'; 'gone' where that mark is gone: it is on its way again; or why it need not wait: then it is not
-- outstanding either.
local step = arg.step
local status = status_of_run()
if outlives_run(step, arg.flow) then recall(arg.flow) end
if status and status ~= 'running' and not undoes(step, status) and not outlives_run(step, arg.flow) then
  close_step(step)
  return status
end
if arg.settled ~= '1' and (redis.call('HEXISTS', key.run, SETTLED .. step) == 1 or is_any_spent(arg.budgets)) then  -- something has taken its place
  close_step(step)
  return 'settled'
end
local known = redis.call('HGET', key.run, PARKED .. step)
if arg.marked == '1' and status and known ~= arg.reason then return 'gone' end
redis.call('HDEL', key.run, BEGUN .. step, HELD .. step)
if not status then redis.call('HSET', key.run, 'flow', arg.flow, 'status', 'running', 'started', digits(clock())) end
if known == arg.reason then return 'parked' end
if not known then redis.call('HINCRBY', key.run, 'parked', 1) end
redis.call('HSET', key.run, PARKED .. step, arg.reason)
redis.call('PEXPIRE', key.run, arg.ttl)
tell(arg.entry)
announce()
return 'parked'
