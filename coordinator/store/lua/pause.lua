-- Hold a run, or let it go on. KEYS: run, history. ARGV: '1' or '0', entry, history ttl, ttl (ms)
-- Gives its status, empty where there is no such run. What runs now finishes; nothing further begins while it is held.
local status = redis.call('HGET', KEYS[1], 'status')
if status ~= 'running' then return status or '' end
local changed
if ARGV[1] == '1' then changed = redis.call('HSETNX', KEYS[1], 'paused', '1')
else
  changed = redis.call('HDEL', KEYS[1], 'paused')
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do  -- what was held is on its way
    if string.sub(field, 1, 2) == 'h:' then redis.call('HDEL', KEYS[1], field) end
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
if changed == 1 then
  redis.call('XADD', KEYS[2], '*', 'entry', ARGV[2])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
return status
