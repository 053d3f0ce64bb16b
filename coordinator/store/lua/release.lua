-- Give a lease back. KEYS: outcome. ARGV: fence, owner
-- By fence: the holder promises not to settle. By owner: a process speaks for its dead child, which counts as a crash.
local known = redis.call('HMGET', KEYS[1], 'state', 'fence', 'owner')
if known[1] ~= 'leased' then return 0 end
if known[2] == ARGV[1] then
  redis.call('HSET', KEYS[1], 'state', 'released', 'holders', '', 'crashes', 0)
  return 1
end
if known[3] == ARGV[2] then
  redis.call('HSET', KEYS[1], 'until', 0)
  return 1
end
return 0
