-- A schedule is done with its times up to one. It only ever moves on: a beat that is late changes nothing.
-- KEYS: schedule
-- ARGV: time (ms), run_id (the run of it, or ''), first ('1': only where nothing is known of it yet), ttl (ms)
local known = tonumber(redis.call('HGET', key.schedule, 'until') or '-1') or -1
if known > 253402300799000 then known = -1 end  -- no date says that: it was changed by hand
if arg.first == '1' and known >= 0 then return 0 end
if tonumber(arg.time) <= known then return 0 end
redis.call('HSET', key.schedule, 'until', arg.time)
if arg.run_id ~= '' then redis.call('HSET', key.schedule, 'last', arg.time, 'run', arg.run_id) end
redis.call('PEXPIRE', key.schedule, arg.ttl)
return 1
