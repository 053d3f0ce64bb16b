-- Accept a run once, to begin now or later.
-- KEYS: run, ended, starting, history, outstanding, scheduled, later, usage
-- ARGV: content, flow, key, first (its messages), run_id, entry, due, sends (a line for each: 'step agent contract/version'),
--       ttl (ms), older (what the release before called the content), life ('': its first, or 'run number': another life of that run),
--       trace (the span in which it begins, or ''),
--       limits (of what it may use up, a line for each: 'name number')
-- due is '' (now), milliseconds since 1970, or '+' and milliseconds from now; a time that is past is now. Times in ms.
-- Gives what became of it, and whether its messages are unpublished: 'created'; 'scheduled' (created, for later); 'existing';
-- 'waiting' (it exists, for later); 'conflict'; 'over' (it has ended, and is forgotten: nothing begins it again, for messages of it may
-- still come).
if redis.call('EXISTS', key.run) == 1 and redis.call('HEXISTS', key.run, 'content') == 1 then
  local known = redis.call('HGET', key.run, 'content')
  if known ~= arg.content and known ~= arg.older then return {'conflict', '0'} end
  if redis.call('HGET', key.run, 'status') == 'scheduled' then return {'waiting', '1'} end
  return {'existing', tostring(redis.call('HEXISTS', key.run, 'first'))}
end
if redis.call('EXISTS', key.ended) == 1 then return {'over', '0'} end
local now, wait = clock(), 0
local at = digits(now)
if string.sub(arg.due, 1, 1) == '+' then wait = tonumber(string.sub(arg.due, 2))
elseif arg.due ~= '' then wait = math.max(tonumber(arg.due) - now, 0) end
local later = wait > 0
local ttl = digits(tonumber(arg.ttl) + wait)  -- it is kept as long once it begins

if arg.life ~= '' then redis.call('HSET', key.run, 'life', arg.life) end
redis.call('HSET', key.run, 'content', arg.content, 'flow', arg.flow, 'key', arg.key, 'first', arg.first,
  'status', later and 'scheduled' or 'running', 'started', at)
if arg.trace ~= '' then redis.call('HSET', key.run, 'trace', arg.trace) end
redis.call('PEXPIRE', key.run, ttl)
for line in lines(arg.limits) do
  local name, number = string.match(line, '^(%S+) (%d+)$')
  redis.call('HSET', key.usage, 'limit:' .. name, number)
  redis.call('PEXPIRE', key.usage, ttl)
end
tell(arg.entry)
if not later then
  redis.call('ZADD', key.starting, at, arg.run_id)
  redis.call('PEXPIRE', key.starting, arg.ttl)
  open_steps(arg.sends, at)
  return {'created', '1'}
end
local due = digits(now + wait)
redis.call('HSET', key.run, 'due', due)
redis.call('ZADD', key.scheduled, due, arg.run_id)
redis.call('HSET', key.later, arg.run_id, arg.sends)
keep(key.scheduled, ttl)
keep(key.later, ttl)
return {'scheduled', '1'}
