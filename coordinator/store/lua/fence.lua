-- Shut out an earlier holder of a lease at its own run.
-- KEYS: run
-- ARGV: step, fence
-- If it has settled there before, its record is the outcome. What was let go there is no outcome of this key: that would be done.
local settled = redis.call('HGET', key.run, SETTLED .. arg.step)
if settled then return settled end
local lowest = tonumber(redis.call('HGET', key.run, FENCE .. arg.step) or '0')
if redis.call('EXISTS', key.run) == 1 and tonumber(arg.fence) > lowest then
  redis.call('HSET', key.run, FENCE .. arg.step, arg.fence)
end
return ''
