-- Count the steps of a shard that were sent and are not settled, and those of runs that begin later.
-- KEYS: outstanding, later
-- ARGV: oldest (that counts, in ms)
-- Gives 'agent contract/version' and its count, one after the other; a message of a join counts for each of its parts too.
-- What is older belongs to no live run: it is dropped.
local counts, found = {}, {}

-- Count 'agent contract/version,contract/version'
local function count(what)
  local agent, refs = string.match(what, '^(%S+) (.*)$')
  local seen = {}
  for ref in string.gmatch(refs or '', '[^,]+') do
    local one = agent .. ' ' .. ref
    if not seen[ref] then counts[one] = (counts[one] or 0) + 1 end
    seen[ref] = true
  end
end

local fields = redis.call('HGETALL', key.outstanding)
for at = 1, #fields, 2 do
  local cut = string.find(fields[at + 1], ' ', 1, true)
  if tonumber(string.sub(fields[at + 1], 1, cut - 1)) < tonumber(arg.oldest) then
    redis.call('HDEL', key.outstanding, fields[at])
  else
    count(string.sub(fields[at + 1], cut + 1))
  end
end
for _, sends in ipairs(redis.call('HVALS', key.later)) do
  for what in string.gmatch(sends, '%S+ ([^\n]+)') do count(what) end
end
for what, count in pairs(counts) do
  found[#found + 1] = what
  found[#found + 1] = tostring(count)
end
return found
