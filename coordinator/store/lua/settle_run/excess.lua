-- What would be too large: found before anything is recorded.
-- How much the parts are that have arrived at a join of branches, with what arrives now. They are read only where they may be too much
local function arrived_octets(join, prefix)
  local octets, others = #data, {}
  for _, branch in ipairs(join.branches) do
    if branch ~= join.branch then
      local length = redis.call('HSTRLEN', key.run, prefix .. branch)
      if length > 0 then others[#others + 1] = prefix .. branch end
      octets = octets + length
    end
  end
  if octets <= most then return octets end
  octets = #data
  for _, field in ipairs(others) do
    local _, value = part(redis.call('HGET', key.run, field))
    octets = octets + #value
  end
  return octets
end

-- Whether what arrives makes a join too large for a message: how many octets it has then, as far as it is known; nothing where it has
-- room, or has arrived before. Nothing is recorded here. Of items it is the last that makes it: one of them waits then, and not
-- all that would have come after it.
local function excess(joins)
  if most <= 0 then return nil end
  local own_schemas, own_data, found = schemas, data, nil
  for _, join in ipairs(joins) do
    local prefix = ARRIVED .. join.path .. '.'
    if join.one then
      local known = redis.call('HGET', key.run, prefix .. 'one')
      if known and known ~= schemas .. '\n' .. data then break end  -- it comes too late
    else
      if redis.call('HEXISTS', key.run, prefix .. join.branch) == 1 then break end
      if join.count > 0 then
        if tonumber(redis.call('HGET', key.run, prefix .. '#') or '0') + 1 < join.count then break end
      else
        local octets = arrived_octets(join, prefix)
        if octets > most then
          found = octets
          break
        end
      end
      local whole = put_together(join, prefix)
      if not whole then break end
      schemas, data = whole.schemas, whole.data
      if has_no_room(schemas, data) then
        found = #schemas + #data
        break
      end
    end
  end
  schemas, data = own_schemas, own_data
  return found
end
