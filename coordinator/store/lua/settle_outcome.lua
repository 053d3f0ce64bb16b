-- Record the outcome of an idempotency key once. KEYS: outcome. ARGV: fence, record, ttl (ms), content
local known = redis.call('HMGET', KEYS[1], 'state', 'fence')
if known[1] == 'done' then return (known[2] == ARGV[1]) and 'settled' or 'late' end
if known[2] and known[2] ~= ARGV[1] then return 'late' end
redis.call('HSET', KEYS[1], 'content', ARGV[4], 'state', 'done', 'fence', ARGV[1], 'record', ARGV[2])
redis.call('HDEL', KEYS[1], 'holders', 'owner', 'until', 'crashes', 'epoch', 'token', 'moved')
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 'settled'
