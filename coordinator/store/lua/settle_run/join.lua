-- Arrive at the joins around the step, from the inside to the outside: what arrives at the next one is what the one before has made.

-- The contract versions in the schemas, each once, as 'name/version,name/version'
local function refs()
  local found, seen = {}, {}
  for name, version in string.gmatch(schemas, 'urn:contract:([^%s=]+):(%d+)') do
    local ref = name .. '/' .. version
    if not seen[ref] then found[#found + 1] = ref end
    seen[ref] = true
  end
  return table.concat(found, ',')
end

-- What is parked in a budget that is spent, or held with its run, does not wait any more
local function let_go_within(path)
  local known = redis.call('HMGET', key.run, 'parked', 'paused')
  if tonumber(known[1] or '0') <= 0 and not known[2] then return end
  local within, instead, timer = path .. '.b.', path .. '.f.', path .. '.timer'
  for _, field in ipairs(redis.call('HKEYS', key.run)) do
    local kind, waits = string.sub(field, 1, 2), string.sub(field, 3)
    local start = string.sub(waits, 1, #within)
    if (kind == PARKED or kind == HELD) and (start == within or start == instead or waits == timer) then
      if kind == PARKED then unpark(waits) else redis.call('HDEL', key.run, field) end
      close_step(waits)
    end
  end
end

-- Whether what arrives is the first at the innermost join: a fallback, or a signal, has taken a step's place
local taken = false

-- A budget or a wait, where the first to arrive is all there is: whether this is it. A fallback leaves its mark.
local function is_first(join)
  local field, text = ARRIVED .. join.path .. '.one', schemas .. '\n' .. data
  if redis.call('HSETNX', key.run, field, text) == 1 then
    redis.call('PEXPIRE', key.run, arg.ttl)
    if join == joins[1] then taken = arg.again == '1' end
    local awaited = redis.call('HGET', key.run, AWAITED .. join.path)
    if awaited then redis.call('HSET', key.run, FOLLOWED .. join.path, awaited) end  -- for a signal that is sent again
    redis.call('HDEL', key.run, AWAITED .. join.path)
    if join.mark ~= '' then redis.call('HSET', key.run, MARK .. join.path, join.mark) end
    let_go_within(join.path)
  elseif redis.call('HGET', key.run, field) ~= text then
    tell_late()
    return false
  end
  mark = redis.call('HGET', key.run, MARK .. join.path) or mark
  return true
end

-- A part that waits for the others is outstanding, for the agent that is next; once they are complete the next message is.
local function wait_for_others(field)
  local agent, of = string.match(arg.sends, '^%S+ (%S+)'), refs()
  if not agent or of == '' then return end
  redis.call('HSET', key.outstanding, arg.run_id .. '|' .. field, now .. ' ' .. agent .. ' ' .. of)
  redis.call('PEXPIRE', key.outstanding, arg.ttl)
end

-- The spans in which the parts have arrived at the joins that are complete; and what keeps the one of this part, for who arrives last
local spans, most_spans = {}, 128
local function keep_span(join)
  if arg.span == '' then return end
  local known = redis.call('HGET', key.run, SPANS .. join.path)
  if known and (#known >= most_spans * 17 or string.find(known, arg.span, 1, true)) then return end
  redis.call('HSET', key.run, SPANS .. join.path, known and known .. ' ' .. arg.span or arg.span)
end

local function find_spans(join)
  local known = arg.span ~= '' and redis.call('HGET', key.run, SPANS .. join.path)
  if known then spans[#spans + 1] = known end
end

-- Keep what arrives at a join of branches or items, once. A fallback leaves its mark: what it is put together with must not hide it
local function arrive(join, prefix)
  local fresh = redis.call('HSETNX', key.run, prefix .. join.branch, schemas .. '\n' .. data) == 1
  redis.call('PEXPIRE', key.run, arg.ttl)
  if not fresh then return end
  keep_span(join)
  wait_for_others(prefix .. join.branch)
  if join.count > 0 then
    if mark ~= '' then redis.call('HINCRBY', key.run, MARK .. prefix .. '#', 1) end
    redis.call('HINCRBY', key.run, prefix .. '#', 1)
  elseif mark ~= '' then
    redis.call('HSET', key.run, MARK .. prefix .. join.branch, mark)
  end
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
  local whole = put_together(join, prefix)
  if not whole then return false end
  for _, branch in ipairs(branches_of(join)) do redis.call('HDEL', key.outstanding, arg.run_id .. '|' .. prefix .. branch) end
  schemas, data, mark = whole.schemas, whole.data, marks_of(join, prefix)
  find_spans(join)
  return true
end
