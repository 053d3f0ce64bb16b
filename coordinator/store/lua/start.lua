-- Accept a run once, to begin now or later. KEYS: run, starting, history, outstanding, scheduled, later.
-- ARGV: content, flow, key, first (text), run id, now, ttl, entry, due, then for each message its step and 'agent contract/version'
-- due is '' (now), milliseconds since 1970, or '+' and milliseconds from now; a time that is past is now. Times in ms.
-- Gives what became of it, and whether its messages are unpublished: 'created'; 'scheduled' (created, for later); 'existing';
-- 'waiting' (it exists, for later); 'conflict'.
local run, starting = KEYS[1], KEYS[2]
if redis.call('EXISTS', run) == 1 and redis.call('HEXISTS', run, 'content') == 1 then
  local content = redis.call('HGET', run, 'content')
  if content ~= ARGV[1] then return {'conflict', '0'} end
  if redis.call('HGET', run, 'status') == 'scheduled' then return {'waiting', '1'} end
  return {'existing', tostring(redis.call('HEXISTS', run, 'first'))}
end
local time = redis.call('TIME')
local clock = time[1] * 1000 + math.floor(time[2] / 1000)
local wait = 0
if string.sub(ARGV[9], 1, 1) == '+' then wait = tonumber(string.sub(ARGV[9], 2))
elseif ARGV[9] ~= '' then wait = math.max(tonumber(ARGV[9]) - clock, 0) end
local later = wait > 0
local ttl = string.format('%.0f', tonumber(ARGV[7]) + wait)  -- it is kept as long once it begins

redis.call('HSET', run, 'content', ARGV[1], 'flow', ARGV[2], 'key', ARGV[3], 'first', ARGV[4],
  'status', later and 'scheduled' or 'running', 'started', ARGV[6])
redis.call('PEXPIRE', run, ttl)
if ARGV[8] ~= '' then
  redis.call('XADD', KEYS[3], '*', 'entry', ARGV[8])
  redis.call('PEXPIRE', KEYS[3], ARGV[7])
end
if not later then
  redis.call('ZADD', starting, ARGV[6], ARGV[5])
  redis.call('PEXPIRE', starting, ARGV[7])
  for at = 10, #ARGV, 2 do
    if redis.call('HSET', KEYS[4], ARGV[5] .. '|' .. ARGV[at], ARGV[6] .. ' ' .. ARGV[at + 1]) == 1 then
      redis.call('HINCRBY', run, 'open', 1)
    end
    redis.call('PEXPIRE', KEYS[4], ARGV[7])
  end
  return {'created', '1'}
end
local due = string.format('%.0f', clock + wait)
local sends = {}
for at = 10, #ARGV, 2 do sends[#sends + 1] = ARGV[at] .. ' ' .. ARGV[at + 1] end
redis.call('HSET', run, 'due', due)
redis.call('ZADD', KEYS[5], due, ARGV[5])
redis.call('HSET', KEYS[6], ARGV[5], table.concat(sends, '\n'))
for at = 5, 6 do
  if redis.call('PTTL', KEYS[at]) < tonumber(ttl) then redis.call('PEXPIRE', KEYS[at], ttl) end
end
return {'scheduled', '1'}
