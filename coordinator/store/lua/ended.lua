-- Whether a step that runs is wanted no more. Its run lives: somebody is at work on it.
-- KEYS: run
-- ARGV: step, flow, budgets (that the step is in: words)
-- Gives the status of its run where that has ended or is being undone, 'closed' where a budget is spent, otherwise ''.
local status = redis.call('HGET', key.run, 'status')
if status then redis.call('HSET', key.run, 'alive', digits(clock())) end
if not status or status == 'running' or undoes(arg.step, status) or outlives_run(arg.step, arg.flow) then
  return is_any_spent(arg.budgets) and 'closed' or ''
end
return status
