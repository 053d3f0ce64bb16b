-- Hold a run, or let it go on.
-- KEYS: run, ended, history
-- ARGV: hold ('1' or '0'), entry, ttl (ms)
-- Gives its status, empty where there is no such run. What runs now finishes; nothing further begins while it is held.
local status = status_of_run()
if status ~= 'running' then return status or '' end
local changed
if arg.hold == '1' then changed = redis.call('HSETNX', key.run, 'paused', '1')
else
  changed = redis.call('HDEL', key.run, 'paused')
  for _, field in ipairs(fields_of(HELD)) do redis.call('HDEL', key.run, field) end  -- what was held is on its way
end
redis.call('PEXPIRE', key.run, arg.ttl)
if changed == 1 then tell(arg.entry) end
return status
