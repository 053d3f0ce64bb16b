-- Begin a run whose time has come; the first process to ask gets it.
-- KEYS: run, scheduled, later, starting, outstanding, history
-- ARGV: run_id, entry, ttl (ms)
-- Gives {flow, its first messages}, or nothing where it does not wait any more, or not yet. From now on it is a run that was
-- accepted and not published: a process that dies before that is done leaves it to the sweep.
local function waits_no_more()
  redis.call('ZREM', key.scheduled, arg.run_id)
  redis.call('HDEL', key.later, arg.run_id)
end

if redis.call('HGET', key.run, 'status') ~= 'scheduled' then
  waits_no_more()
  return {}
end
local now = digits(clock())
if (tonumber(redis.call('HGET', key.run, 'due') or '0') or 0) > tonumber(now) then return {} end

redis.call('HSET', key.run, 'status', 'running', 'started', now)
redis.call('PEXPIRE', key.run, arg.ttl)
redis.call('ZADD', key.starting, now, arg.run_id)
redis.call('PEXPIRE', key.starting, arg.ttl)
open_steps(redis.call('HGET', key.later, arg.run_id) or '', now)
waits_no_more()
tell(arg.entry)
return {redis.call('HGET', key.run, 'flow'), redis.call('HGET', key.run, 'first')}
