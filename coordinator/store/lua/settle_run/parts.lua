-- Parts, and what a join puts together of them.
-- A part is its schemas, as 'uri' or as 'path=uri' separated by spaces, a line break, and its data as JSON text.
local function part(text)
  local cut = string.find(text, '\n', 1, true)
  return string.sub(text, 1, cut - 1), string.sub(text, cut + 1)
end

local schemas, data = part(arg.part ~= '' and arg.part or arg.record)
local mark = ''  -- which fallback it is, if it is one

-- The branches of a join; of items their numbers
local function branches_of(join)
  if join.count == 0 then return join.branches end
  local numbers = {}
  for number = 0, join.count - 1 do numbers[#numbers + 1] = tostring(number) end
  return numbers
end

-- What the branches of a join have made, in their order, with what arrives now; nothing where one is missing. None is read before all
-- are there: each that arrives would read all those before it
local function texts_of(join, prefix)
  local branches, texts = branches_of(join), {}
  for _, branch in ipairs(branches) do
    if branch ~= join.branch and redis.call('HEXISTS', key.run, prefix .. branch) == 0 then return nil end
  end
  for _, branch in ipairs(branches) do
    texts[#texts + 1] = redis.call('HGET', key.run, prefix .. branch) or schemas .. '\n' .. data
  end
  return texts
end

-- Numbers in their order, as ranges: '0-99,101'
local function ranges(numbers)
  local found, from = {}, 1
  for at = 1, #numbers do
    if numbers[at + 1] ~= numbers[at] + 1 then
      found[#found + 1] = from == at and digits(numbers[at]) or digits(numbers[from]) .. '-' .. digits(numbers[at])
      from = at + 1
    end
  end
  return table.concat(found, ',')
end

-- The names with their numbers of one place put together, where all else is the same: 'lines.0=uri lines.1=uri' is 'lines.0-1=uri'
local function together_at(place, names)
  local groups, found = {}, {}
  for _, name in ipairs(names) do
    local path, uri = string.match(name, '^(.-)(=.*)$')
    local before, number, after, at = {}, nil, {}, 0
    for word in string.gmatch(path, '[^.]+') do
      at = at + 1
      if at < place then before[#before + 1] = word
      elseif at == place then number = word
      else after[#after + 1] = word end
    end
    if number and string.find(number, '^%d+$') then
      local start = #before > 0 and table.concat(before, '.') .. '.' or ''
      local rest = (#after > 0 and '.' .. table.concat(after, '.') or '') .. uri
      local group = groups[start .. ' ' .. rest]
      if not group then
        group = {start = start, rest = rest, numbers = {}}
        groups[start .. ' ' .. rest] = group
        found[#found + 1] = group
      end
      group.numbers[#group.numbers + 1] = tonumber(number)
    else
      found[#found + 1] = name
    end
  end
  for at, group in ipairs(found) do
    if type(group) == 'table' then found[at] = group.start .. ranges(group.numbers) .. group.rest end
  end
  return found
end

-- The names in as few words as there may be, for all that are the same
local function shortened(names)
  local deepest = 1
  for _, name in ipairs(names) do
    local _, dots = string.gsub(string.match(name, '^[^=]*'), '%.', '')
    deepest = math.max(deepest, dots + 1)
  end
  for place = deepest, 1, -1 do names = together_at(place, names) end
  return names
end

local most, most_in_body = tonumber(arg.most), tonumber(arg.body)
local longest = 262144  -- characters that the schemas may have in an envelope
local made = {}

-- Whether a message has no room for schemas and data: in its envelope, or in its body, where quotes and backslashes take two octets
local function has_no_room(of, text)
  if #of > longest or #of + #text > most then return true end
  if most_in_body <= 0 then return false end
  local _, doubled = string.gsub(text, '["\\]', '%0')
  return #of + #text + doubled > most_in_body
end

-- What a join puts together, by its path: its schemas, in the short form only where the long one has no room (for who reads that, an
-- older worker perhaps, may know no other), and its data; nothing where a part is missing. It is read and made once.
local function put_together(join, prefix)
  if made[join.path] then return made[join.path] end
  local parts = texts_of(join, prefix)
  if not parts then return nil end
  local texts, names, items = {}, {}, join.count > 0
  for at, branch in ipairs(branches_of(join)) do
    local of, value = part(parts[at])
    texts[at] = items and value or '"' .. branch .. '":' .. value
    local under = items and join.into .. '.' .. branch or branch
    for word in words(of) do names[#names + 1] = under .. (string.find(word, '=', 1, true) and '.' or '=') .. word end
  end
  local whole = table.concat(texts, ',')
  whole = items and '{"' .. join.into .. '":[' .. whole .. ']}' or '{' .. whole .. '}'
  local of = table.concat(names, ' ')
  if most > 0 and has_no_room(of, whole) then of = table.concat(shortened(names), ' ') end
  made[join.path] = {schemas = of, data = whole}
  return made[join.path]
end
