-- Accept a run once, to begin now or later.
-- KEYS: run, starting, history, outstanding, scheduled, later
-- ARGV: content, flow, key, first (its messages), run_id, entry, due, sends (a line for each: 'step agent contract/version'),
--       now (ms), ttl (ms)
-- due is '' (now), milliseconds since 1970, or '+' and milliseconds from now; a time that is past is now. Times in ms.
-- Gives what became of it, and whether its messages are unpublished: 'created'; 'scheduled' (created, for later); 'existing';
-- 'waiting' (it exists, for later); 'conflict'.
if redis.call('EXISTS', key.run) == 1 and redis.call('HEXISTS', key.run, 'content') == 1 then
  if redis.call('HGET', key.run, 'content') ~= arg.content then return {'conflict', '0'} end
  if redis.call('HGET', key.run, 'status') == 'scheduled' then return {'waiting', '1'} end
  return {'existing', tostring(redis.call('HEXISTS', key.run, 'first'))}
end
local now, wait = clock(), 0
if string.sub(arg.due, 1, 1) == '+' then wait = tonumber(string.sub(arg.due, 2))
elseif arg.due ~= '' then wait = math.max(tonumber(arg.due) - now, 0) end
local later = wait > 0
local ttl = digits(tonumber(arg.ttl) + wait)  -- it is kept as long once it begins

redis.call('HSET', key.run, 'content', arg.content, 'flow', arg.flow, 'key', arg.key, 'first', arg.first,
  'status', later and 'scheduled' or 'running', 'started', arg.now)
redis.call('PEXPIRE', key.run, ttl)
tell(arg.entry)
if not later then
  redis.call('ZADD', key.starting, arg.now, arg.run_id)
  redis.call('PEXPIRE', key.starting, arg.ttl)
  open_steps(arg.sends, arg.now)
  return {'created', '1'}
end
local due = digits(now + wait)
redis.call('HSET', key.run, 'due', due)
redis.call('ZADD', key.scheduled, due, arg.run_id)
redis.call('HSET', key.later, arg.run_id, arg.sends)
keep(key.scheduled, ttl)
keep(key.later, ttl)
return {'scheduled', '1'}
