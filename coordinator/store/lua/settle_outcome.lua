-- Record the outcome of an idempotency key once.
-- KEYS: outcome
-- ARGV: fence, record, content, ttl (ms)
local known = redis.call('HMGET', key.outcome, 'state', 'fence')
local state, fence = known[1], known[2]
if state == 'done' then return fence == arg.fence and 'settled' or 'late' end
if fence and fence ~= arg.fence then return 'late' end
redis.call('HSET', key.outcome, 'content', arg.content, 'state', 'done', 'fence', arg.fence, 'record', arg.record)
redis.call('HDEL', key.outcome, 'holders', 'owner', 'until', 'crashes', 'epoch', 'token', 'moved')
redis.call('PEXPIRE', key.outcome, arg.ttl)
return 'settled'
