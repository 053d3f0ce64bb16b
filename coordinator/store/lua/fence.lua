-- Shut out an earlier holder of a lease at its own run. KEYS: run. ARGV: step, fence, ttl (ms)
-- If it has settled there before, its record is the outcome. What was let go there is no outcome of this key: that would be done.
local run = KEYS[1]
local settled = redis.call('HGET', run, 's:' .. ARGV[1])
if settled then return settled end
local field = 'f:' .. ARGV[1]
local floor = tonumber(redis.call('HGET', run, field) or '0')
if redis.call('EXISTS', run) == 1 and tonumber(ARGV[2]) > floor then
  redis.call('HSET', run, field, ARGV[2])
end
return ''
