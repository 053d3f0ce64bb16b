-- Shut out an earlier holder of a lease at its own run.
-- KEYS: run
-- ARGV: step, fence
-- If it has settled there before, its record is the outcome, and the fence under which it did that is its name: gives both. What was
-- let go there is no outcome of this key: that would be done.
local known = redis.call('HMGET', key.run, SETTLED .. arg.step, SETTLED_BY .. arg.step)
if known[1] then return {known[1], string.match(known[2] or '', '^%d+') or ''} end
local lowest = tonumber(redis.call('HGET', key.run, FENCE .. arg.step) or '0')
if redis.call('EXISTS', key.run) == 1 and tonumber(arg.fence) > lowest then
  redis.call('HSET', key.run, FENCE .. arg.step, arg.fence)
end
return {}
