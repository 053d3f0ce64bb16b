-- Record the outcome of an idempotency key once.
-- KEYS: outcome
-- ARGV: fence, known_as (the fence that names the outcome: that under which a run has recorded it), record, content,
--       maker (run|step, where something undoes the step; otherwise ''), ttl (ms)
local known = redis.call('HMGET', key.outcome, 'state', 'fence')
local state, fence = known[1], known[2]
if state == 'done' or state == 'undoing' or state == 'undone' then return fence == arg.fence and 'settled' or 'late' end
if fence and fence ~= arg.fence then
  lives(arg.fence)
  return 'late'
end
redis.call('HSET', key.outcome, 'content', arg.content, 'state', 'done', 'fence', arg.known_as, 'record', arg.record)
if arg.maker ~= '' then redis.call('HSET', key.outcome, 'maker', arg.maker) end
redis.call('HDEL', key.outcome, 'holders', 'owner', 'until', 'crashes', 'epoch', 'token', 'moved', 'lapsed', 'lived')
keep_outcome()
return 'settled'
