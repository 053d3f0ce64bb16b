-- Accept a run once. KEYS: run, starting, history, outstanding.
-- ARGV: content, flow, key, first (text), run id, now, ttl (ms), entry, then for each message its step and 'agent contract/version'
local run, starting = KEYS[1], KEYS[2]
if redis.call('EXISTS', run) == 1 and redis.call('HEXISTS', run, 'content') == 1 then
  local content = redis.call('HGET', run, 'content')
  if content ~= ARGV[1] then return {'conflict', '0'} end
  return {'existing', tostring(redis.call('HEXISTS', run, 'first'))}
end
redis.call('HSET', run, 'content', ARGV[1], 'flow', ARGV[2], 'key', ARGV[3], 'first', ARGV[4],
  'status', 'running', 'started', ARGV[6])
redis.call('PEXPIRE', run, ARGV[7])
redis.call('ZADD', starting, ARGV[6], ARGV[5])
redis.call('PEXPIRE', starting, ARGV[7])
if ARGV[8] ~= '' then
  redis.call('XADD', KEYS[3], '*', 'entry', ARGV[8])
  redis.call('PEXPIRE', KEYS[3], ARGV[7])
end
for at = 9, #ARGV, 2 do
  if redis.call('HSET', KEYS[4], ARGV[5] .. '|' .. ARGV[at], ARGV[6] .. ' ' .. ARGV[at + 1]) == 1 then
    redis.call('HINCRBY', run, 'open', 1)
  end
  redis.call('PEXPIRE', KEYS[4], ARGV[7])
end
return {'created', '1'}
