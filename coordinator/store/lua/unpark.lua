-- A parked step, or an event without subscribers, is on its way again.
-- KEYS: run, ended, history
-- ARGV: step, flow, entry, ttl (ms)
-- Gives the run's status, empty where there is no such run; 'running' for what goes on whatever becomes of its run.
local status = status_of_run()
local outlives = string.find(arg.step, '[@!]') and not is_story(arg.flow)
if not outlives and (status == 'cancelled' or (status == 'compensating' and not undoes(arg.step, status))) then return status end
unpark(arg.step)
redis.call('HDEL', key.run, LOST .. arg.step)  -- a person says so
tell(arg.entry)
if status == 'running' then redis.call('PEXPIRE', key.run, arg.ttl) end
return outlives and status and 'running' or status or ''
