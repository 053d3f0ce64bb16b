-- Add a part to a set of an agent. KEYS: set. ARGV: part, record (its first line: what names the content, and the story), ttl (ms), the most parts
-- Gives {'added', 'again' (it was there), 'conflict' (it was there with another content) or 'full', how many there are, and
-- '1' where this is the part that began the set}
local field = 'p:' .. ARGV[1]
local count = tonumber(redis.call('HGET', KEYS[1], 'count') or '0')
local known = redis.call('HGET', KEYS[1], field)
if known then
  local same = string.match(known, '^%S+') == string.match(ARGV[2], '^%S+')
  return {same and 'again' or 'conflict', tostring(count), redis.call('HGET', KEYS[1], 'first') == ARGV[1] and '1' or ''}
end
if count >= tonumber(ARGV[4]) then return {'full', tostring(count), ''} end
if count == 0 then redis.call('HSET', KEYS[1], 'first', ARGV[1]) end
redis.call('HSET', KEYS[1], field, ARGV[2])
count = redis.call('HINCRBY', KEYS[1], 'count', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'added', tostring(count), count == 1 and '1' or ''}
