-- What there is to say of a run, without what its steps have made.
-- KEYS: run
-- ARGV: whole ('1': all of it, '': how it stands)
-- Gives fields and their values, one after the other: those that every run has and what is parked. Of the whole also who waits,
-- is held, delayed or begun, and by name alone what is settled, which budgets are spent, and that its first messages are unpublished. Nothing where there is no such run.
local found, whole = {}, arg.whole == '1'
if redis.call('EXISTS', key.run) == 0 then return found end
local function add(field, value)
  found[#found + 1] = field
  found[#found + 1] = value
end

local names = {'flow', 'key', 'status', 'started', 'paused', 'due', 'open', 'parked', 'alive', 'life', 'trace'}
local known = redis.call('HMGET', key.run, unpack(names))
for at, name in ipairs(names) do
  if known[at] then add(name, known[at]) end
end
if not known[1] then add('flow', '') end
if whole and redis.call('HEXISTS', key.run, 'first') == 1 then add('first', '') end
if not whole and (tonumber(known[8] or '0') or 1) <= 0 then return found end
local shown = {[PARKED] = true, [AWAITED] = whole, [HELD] = whole, [DELAYED] = whole, [BEGUN] = whole, [LOST] = whole}
for _, field in ipairs(redis.call('HKEYS', key.run)) do
  local kind = string.sub(field, 1, 2)
  if shown[kind] then add(field, redis.call('HGET', key.run, field))
  elseif whole and (kind == SETTLED or (kind == ARRIVED and string.sub(field, -4) == '.one')) then add(field, '') end
end
return found
