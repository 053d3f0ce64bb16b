-- A parked step, or an event without subscribers, is on its way again.
-- KEYS: run, history
-- ARGV: step, entry, ttl (ms)
-- Gives the run's status, empty where there is no such run; 'running' for what goes on whatever becomes of its run.
local status = redis.call('HGET', key.run, 'status')
local outlives = string.find(arg.step, '[@!]') and not is_story(redis.call('HGET', key.run, 'flow') or '')
if status == 'cancelled' and not outlives then return status end
unpark(arg.step)
tell(arg.entry)
if status == 'running' then redis.call('PEXPIRE', key.run, arg.ttl) end
return outlives and status and 'running' or status or ''
