-- Entries of the history are in the journal.
-- KEYS: history, mark
-- ARGV: ids (words, the newest last), ttl (ms)
-- Gives up to which entry that was so before, and '1' where one of these was not there and no other process had dropped it. Whoever
-- remembers a later one than the first knows that Redis has gone back to an earlier state, and so does who is given the second.
local known = redis.call('HGET', key.mark, 'id') or ''

local function number(id, part) return tonumber(string.match(id, part) or '-1') end
local function unknown(id)
  local ahead = number(id, '^%d+') - number(known, '^%d+')
  return ahead > 0 or (ahead == 0 and number(id, '%d+$') > number(known, '%d+$'))
end

local newest, missing = '', false
for id in words(arg.ids) do
  if redis.call('XDEL', key.history, id) == 0 and unknown(id) then missing = true end
  newest = id
end
if unknown(newest) then redis.call('HSET', key.mark, 'id', newest) end
redis.call('PEXPIRE', key.mark, arg.ttl)
return {known, missing and '1' or ''}
