-- Add a part to a set of an agent. KEYS: set. ARGV: part, record (its first line: what names the content, and the story), ttl (ms), the most parts
-- Gives {'added', 'again' (it was there), 'conflict' (it was there with another content), 'full' or 'late' (the set was worked
-- on before), how many there are, '1' where this is the part that began the set, and '1' where the set was worked on}
local field = 'p:' .. ARGV[1]
local known = redis.call('HMGET', KEYS[1], 'count', field, 'first', 'finished')
local count, finished = tonumber(known[1] or '0'), known[4] or ''
if known[2] then
  local same = string.match(known[2], '^%S+') == string.match(ARGV[2], '^%S+')
  return {same and 'again' or 'conflict', tostring(count), known[3] == ARGV[1] and '1' or '', finished}
end
if finished ~= '' then return {'late', tostring(count), '', finished} end
if count >= tonumber(ARGV[4]) then return {'full', tostring(count), '', ''} end
if count == 0 then redis.call('HSET', KEYS[1], 'first', ARGV[1]) end
redis.call('HSET', KEYS[1], field, ARGV[2])
count = redis.call('HINCRBY', KEYS[1], 'count', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'added', tostring(count), count == 1 and '1' or '', ''}
