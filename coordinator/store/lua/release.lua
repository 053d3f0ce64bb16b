-- Give a lease back.
-- KEYS: outcome
-- ARGV: fence, owner
-- By fence: the holder promises not to settle. By owner: a process speaks for its dead child, which counts as a crash.
local known = redis.call('HMGET', key.outcome, 'state', 'fence', 'owner')
local state, fence, owner = known[1], known[2], known[3]
if state ~= 'leased' then return 0 end
if fence == arg.fence then
  redis.call('HSET', key.outcome, 'state', 'released', 'holders', '', 'crashes', 0)
  return 1
end
if owner == arg.owner then
  redis.call('HSET', key.outcome, 'until', 0)
  return 1
end
return 0
