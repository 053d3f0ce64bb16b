-- Begin a run whose time has come; whoever is first gets it. KEYS: run, scheduled, later, starting, outstanding, history.
-- ARGV: run id, ttl, history ttl (ms), entry
-- Gives {flow, its first messages}, or nothing where it does not wait any more, or not yet. From now on it is a run that was
-- accepted and not published: whoever dies before that is done leaves it to the sweep.
local run, id = KEYS[1], ARGV[1]
local status = redis.call('HGET', run, 'status')
if status ~= 'scheduled' then
  redis.call('ZREM', KEYS[2], id)
  redis.call('HDEL', KEYS[3], id)
  return {}
end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
if tonumber(redis.call('HGET', run, 'due')) > tonumber(now) then return {} end

redis.call('HSET', run, 'status', 'running', 'started', now)
redis.call('PEXPIRE', run, ARGV[2])
redis.call('ZREM', KEYS[2], id)
redis.call('ZADD', KEYS[4], now, id)
redis.call('PEXPIRE', KEYS[4], ARGV[2])
for line in string.gmatch(redis.call('HGET', KEYS[3], id) or '', '[^\n]+') do
  local step, what = string.match(line, '^(%S+) (.*)$')
  if redis.call('HSET', KEYS[5], id .. '|' .. step, now .. ' ' .. what) == 1 then redis.call('HINCRBY', run, 'open', 1) end
  redis.call('PEXPIRE', KEYS[5], ARGV[2])
end
redis.call('HDEL', KEYS[3], id)
redis.call('XADD', KEYS[6], '*', 'entry', ARGV[4])
redis.call('PEXPIRE', KEYS[6], ARGV[3])
return {redis.call('HGET', run, 'flow'), redis.call('HGET', run, 'first')}
