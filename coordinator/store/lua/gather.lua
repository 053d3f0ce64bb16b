-- Add a part to a set of an agent.
-- KEYS: set
-- ARGV: part, text (its first line: what names the content, and the story; then the record), most (parts), ttl (ms)
-- Gives {'added', 'again' (it was there), 'conflict' (it was there with another content), 'full' or 'late' (the set was worked
-- on before), how many there are, '1' where this is the part that began the set, and '1' where the set was worked on}
local field = PART .. arg.part
local known = redis.call('HMGET', key.set, 'count', field, 'first', 'finished')
local count, part, first, finished = tonumber(known[1] or '0'), known[2], known[3], known[4] or ''
if part then
  local same = string.match(part, '^%S+') == string.match(arg.text, '^%S+')
  return {same and 'again' or 'conflict', tostring(count), first == arg.part and '1' or '', finished}
end
if finished ~= '' then return {'late', tostring(count), '', finished} end
if count >= tonumber(arg.most) then return {'full', tostring(count), '', ''} end
if count == 0 then redis.call('HSET', key.set, 'first', arg.part) end
redis.call('HSET', key.set, field, arg.text)
count = redis.call('HINCRBY', key.set, 'count', 1)
redis.call('PEXPIRE', key.set, arg.ttl)
return {'added', tostring(count), count == 1 and '1' or '', ''}
