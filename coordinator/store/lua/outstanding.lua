-- Count the steps of a shard that were sent and are not settled, and those of runs that begin later.
-- KEYS: outstanding, later
-- ARGV: ttl (ms: what is older may belong to no run any more), runs (what the keys of the shard's runs begin with)
-- Gives 'agent contract/version' and its count, one after the other; a message of a join counts for each of its parts too. What is noted
-- in no such way is counted as ' '.
-- What belongs to no run any more is dropped; a run may wait for longer than it is kept when nothing touches it.
local counts, found = {}, {}
local oldest = clock() - tonumber(arg.ttl)

local function is_forgotten(field)
  local run = string.match(field, '^(.*)|')
  return not run or redis.call('EXISTS', arg.runs .. run) == 0
end

-- Count 'agent contract/version,contract/version'
local function count(what)
  local agent, refs = string.match(what, '^(%S+) (.*)$')
  if not agent then
    counts[' '] = (counts[' '] or 0) + 1
    return
  end
  local seen = {}
  for ref in string.gmatch(refs or '', '[^,]+') do
    local one = agent .. ' ' .. ref
    if not seen[ref] then counts[one] = (counts[one] or 0) + 1 end
    seen[ref] = true
  end
end

local fields = redis.call('HGETALL', key.outstanding)
for at = 1, #fields, 2 do
  local since, what = string.match(fields[at + 1], '^(%d+) (.*)$')
  if tonumber(since or '0') < oldest and is_forgotten(fields[at]) then
    redis.call('HDEL', key.outstanding, fields[at])
  else
    count(what or '')
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
