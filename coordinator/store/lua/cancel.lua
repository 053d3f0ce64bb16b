-- Cancel a run that has not ended. KEYS: run, history, starting, outstanding.
-- ARGV: entry, result ttl, history ttl (ms), run id
local status = redis.call('HGET', KEYS[1], 'status')
if status ~= 'running' then return status or '' end
redis.call('HSET', KEYS[1], 'status', 'cancelled')
redis.call('HDEL', KEYS[1], 'first', 'paused')
redis.call('ZREM', KEYS[3], ARGV[4])
for _, field in ipairs(redis.call('HKEYS', KEYS[4])) do
  if string.sub(field, 1, #ARGV[4] + 1) == ARGV[4] .. '|' then redis.call('HDEL', KEYS[4], field) end
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('XADD', KEYS[2], '*', 'entry', ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 'cancelled'
