-- What there is to say of a run, without what its steps have made. KEYS: run. ARGV: '1' (all of it) or '' (how it stands)
-- Gives fields and their values, one after the other: those that every run has and what is parked ('p:'). With '1' also who waits
-- ('w:'), is held ('h:'), delayed ('d:') or begun ('r:'), and by name alone what is settled ('s:') and which budgets are spent.
-- Nothing where there is no such run.
local run, found = KEYS[1], {}
if redis.call('EXISTS', run) == 0 then return found end
local function add(field, value)
  found[#found + 1] = field
  found[#found + 1] = value
end

local names = {'flow', 'key', 'status', 'started', 'paused', 'due', 'open', 'parked'}
local known = redis.call('HMGET', run, unpack(names))
for at, name in ipairs(names) do
  if known[at] then add(name, known[at]) end
end
if not known[1] then add('flow', '') end
local whole = {['p:'] = true}
if ARGV[1] == '1' then whole = {['p:'] = true, ['w:'] = true, ['h:'] = true, ['d:'] = true, ['r:'] = true}
elseif tonumber(known[8] or '0') <= 0 then return found end
for _, field in ipairs(redis.call('HKEYS', run)) do
  local kind = string.sub(field, 1, 2)
  if whole[kind] then add(field, redis.call('HGET', run, field))
  elseif ARGV[1] == '1' and (kind == 's:' or (kind == 'j:' and string.sub(field, -4) == '.one')) then add(field, '') end
end
return found
