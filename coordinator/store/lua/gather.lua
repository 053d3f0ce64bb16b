-- Add a part to a set of an agent.
-- KEYS: set
-- ARGV: part, text (its first line: what names the content, and the story; then the record), most (parts), ttl (ms),
--       older (what the release before called the content)
-- Gives {'added', 'again' (it was there), 'conflict' (it was there with another content), 'full' or 'late' (the set was worked
-- on before, or is), how many there are, '1' where this is the part that began the set, '1' where the set was worked on, and when
-- it began (ms): a set that comes again under its key is another one}
local field = PART .. arg.part
local known = redis.call('HMGET', key.set, 'count', field, 'first', 'finished', 'taken', 'born')
local count, part, first, finished = tonumber(known[1] or '0'), known[2], known[3], known[4] or ''
local taken, born = known[5], known[6] or ''
if part then
  local content = string.match(part, '^%S+')
  local same = content == arg.older or content == string.match(arg.text, '^%S+')
  return {same and 'again' or 'conflict', tostring(count), first == arg.part and '1' or '', finished, born}
end
if finished ~= '' or taken then return {'late', tostring(count), '', '1', born} end
if count >= tonumber(arg.most) then return {'full', tostring(count), '', '', born} end
if count == 0 then
  born = digits(clock())
  redis.call('HSET', key.set, 'first', arg.part, 'born', born)
end
redis.call('HSET', key.set, field, arg.text)
count = redis.call('HINCRBY', key.set, 'count', 1)
redis.call('PEXPIRE', key.set, arg.ttl)
return {'added', tostring(count), count == 1 and '1' or '', '', born}
