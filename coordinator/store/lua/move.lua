-- Move time on where a test does: what a key has left to live is less by that, and `clock()` says so from now on. What is known of
-- runs stays, for tests look at it afterwards, and so does what says who is at work.
-- KEYS: moved (the hash of how far time was moved)
-- ARGV: by (ms), ahead (ms in all), held (ms since 1970, or nothing), prefix (of all keys)
local function stays(name)
  local noun = string.sub(name, #arg.prefix + 1, (string.find(name, ':', #arg.prefix + 1, true) or 0) - 1)
  return string.find(' run usage ended history mark starting scheduled later outstanding consumers build deployed ', ' ' .. noun .. ' ', 1, true)
end

local by = tonumber(arg.by)
for _, name in ipairs(by > 0 and redis.call('KEYS', '*') or {}) do
  local left = redis.call('PTTL', name)
  if left > 0 and string.sub(name, 1, #arg.prefix) == arg.prefix and not stays(name) then
    if left <= by then redis.call('DEL', name) else redis.call('PEXPIRE', name, left - by) end
  end
end
redis.call('HSET', key.moved, 'ahead', arg.ahead)
if arg.held ~= '' then redis.call('HSET', key.moved, 'held', arg.held) end
return 1
