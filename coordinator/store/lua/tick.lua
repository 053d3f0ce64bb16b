-- A schedule is done with its times up to one. KEYS: schedule. ARGV: that time (ms), the run of it or '', ttl (ms), 'first' (only
-- where nothing is known of it yet) or ''. It only ever moves on: a beat that is late changes nothing.
local until_ = tonumber(redis.call('HGET', KEYS[1], 'until') or '-1')
if ARGV[4] == 'first' and until_ >= 0 then return 0 end
if tonumber(ARGV[1]) <= until_ then return 0 end
redis.call('HSET', KEYS[1], 'until', ARGV[1])
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'last', ARGV[1], 'run', ARGV[2]) end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
