-- Arrive at the joins around the step, from the inside to the outside: what arrives at the next one is what the one before has made.
-- A part is its schemas, as 'uri' or as 'path=uri' separated by spaces, a line break, and its data as JSON text.
local function part(text)
  local cut = string.find(text, '\n', 1, true)
  return string.sub(text, 1, cut - 1), string.sub(text, cut + 1)
end

local schemas, data = part(arg.part)
local mark = ''  -- which fallback it is, if it is one

-- The contract versions in the schemas, as 'name/version,name/version'
local function refs()
  local found = {}
  for name, version in string.gmatch(schemas, 'urn:contract:([^%s=]+):(%d+)') do found[#found + 1] = name .. '/' .. version end
  return table.concat(found, ',')
end

-- What is parked in a budget that is spent does not wait any more
local function unpark_within(path)
  if tonumber(redis.call('HGET', key.run, 'parked') or '0') <= 0 then return end
  local within, instead = path .. '.b.', path .. '.f.'
  for _, field in ipairs(fields_of(PARKED)) do
    local parked = string.sub(field, 3)
    local start = string.sub(parked, 1, #within)
    if start == within or start == instead then
      unpark(parked)
      close_step(parked)
    end
  end
end

-- A budget or a wait, where the first to arrive is all there is: whether this is it. A fallback leaves its mark.
local function is_first(join)
  local field, text = ARRIVED .. join.path .. '.one', schemas .. '\n' .. data
  if redis.call('HSETNX', key.run, field, text) == 1 then
    redis.call('PEXPIRE', key.run, arg.ttl)
    if arg.again == '1' then tell(arg.entry) end
    local awaited = redis.call('HGET', key.run, AWAITED .. join.path)
    if awaited then redis.call('HSET', key.run, FOLLOWED .. join.path, awaited) end  -- for a signal that is sent again
    redis.call('HDEL', key.run, AWAITED .. join.path)
    if join.mark ~= '' then redis.call('HSET', key.run, MARK .. join.path, join.mark) end
    unpark_within(join.path)
  elseif redis.call('HGET', key.run, field) ~= text then
    tell(arg.late)
    return false
  end
  mark = redis.call('HGET', key.run, MARK .. join.path) or mark
  return true
end

-- A part that waits for the others is outstanding, for the agent that is next; once they are complete the next message is.
local function wait_for_others(field)
  local agent, of = string.match(arg.sends, '^%S+ (%S+)'), refs()
  if not agent or of == '' then return end
  redis.call('HSET', key.outstanding, arg.run_id .. '|' .. field, arg.now .. ' ' .. agent .. ' ' .. of)
  redis.call('PEXPIRE', key.outstanding, arg.ttl)
end

-- Keep what arrives at a join of branches or items, once. A fallback leaves its mark: what it is put together with must not hide it
local function arrive(join, prefix)
  local fresh = redis.call('HSETNX', key.run, prefix .. join.branch, schemas .. '\n' .. data) == 1
  redis.call('PEXPIRE', key.run, arg.ttl)
  if not fresh then return end
  wait_for_others(prefix .. join.branch)
  if join.count > 0 then
    if mark ~= '' then redis.call('HINCRBY', key.run, MARK .. prefix .. '#', 1) end
    redis.call('HINCRBY', key.run, prefix .. '#', 1)
  elseif mark ~= '' then
    redis.call('HSET', key.run, MARK .. prefix .. join.branch, mark)
  end
end

-- The branches of a join; of items their numbers
local function branches_of(join)
  if join.count == 0 then return join.branches end
  local numbers = {}
  for number = 0, join.count - 1 do numbers[#numbers + 1] = tostring(number) end
  return numbers
end

-- Which fallbacks are among what a join has
local function marks_of(join, prefix)
  local found = {}
  if join.count > 0 then
    local count = redis.call('HGET', key.run, MARK .. prefix .. '#')
    return count and count .. ' of ' .. join.count .. ' items' or ''
  end
  for _, branch in ipairs(join.branches) do
    local one = redis.call('HGET', key.run, MARK .. prefix .. branch)
    if one then found[#found + 1] = branch .. ': ' .. one end
  end
  return string.sub(table.concat(found, '; '), 1, 200)
end

-- Branches or items: whether all have arrived. Then what they made is put together, and is what arrives from now on.
local function is_complete(join)
  local prefix, items = ARRIVED .. join.path .. '.', join.count > 0
  arrive(join, prefix)
  if items and tonumber(redis.call('HGET', key.run, prefix .. '#')) < join.count then return false end
  local texts, names, branches = {}, {}, branches_of(join)
  for _, branch in ipairs(branches) do
    local text = redis.call('HGET', key.run, prefix .. branch)
    if not text then return false end
    local of, value = part(text)
    texts[#texts + 1] = items and value or '"' .. branch .. '":' .. value
    local under = items and join.into .. '.' .. branch or branch
    for word in words(of) do names[#names + 1] = under .. (string.find(word, '=', 1, true) and '.' or '=') .. word end
  end
  for _, branch in ipairs(branches) do redis.call('HDEL', key.outstanding, arg.run_id .. '|' .. prefix .. branch) end
  data = items and '{"' .. join.into .. '":[' .. table.concat(texts, ',') .. ']}' or '{' .. table.concat(texts, ',') .. '}'
  schemas, mark = table.concat(names, ' '), marks_of(join, prefix)
  return true
end
