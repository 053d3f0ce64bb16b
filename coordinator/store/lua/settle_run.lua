-- Settle a step of a run, or find again what follows one that is settled. KEYS: run, history, outstanding.
-- ARGV: step, fence, record, entry, joins (JSON [{path, branches, branch}]), ends ('1': the
--       run ends here), again ('1': only find), ttl (ms), result ttl (ms), history ttl (ms), late entry,
--       part (the record as it goes into a join), run id, now (ms), undo (what undoes the step, as JSON),
--       the number of the edit that was settled ('': whichever), the record's digest, the entry for where nothing is passed on
--       ('': the same), then for each next message its step and 'agent contract/version'
-- Gives {verdict, joined data or '', joined schemas or '', 'complete', 'waiting', or for a late one 'fenced' or '',
--        for a waiting one at which of the joins, from 1}
local run, history = KEYS[1], KEYS[2]
local step, fence, record = ARGV[1], tonumber(ARGV[2]), ARGV[3]
-- What hears an event of a flow goes on whatever becomes of the flow's run; a story that an event began is one with its run
local status = redis.call('HGET', run, 'status')
local fact = string.find(step, '@', 1, true) and string.sub(redis.call('HGET', run, 'flow') or '', 1, 3) ~= 'on:'

local function tell(entry)
  if entry == '' then return end
  redis.call('XADD', history, '*', 'entry', entry)
  redis.call('PEXPIRE', history, ARGV[10])
end

-- The number of an edit; of what is none it is above all
local function number(text)
  local read, edit = pcall(cjson.decode, text)
  return read and type(edit) == 'table' and tonumber(edit.number) or math.huge
end

local undoes = status == 'compensating' and string.sub(step, -5) == '.undo'
local stays = (status == 'cancelled' or status == 'compensating') and not undoes and not fact  -- nothing is passed on

local verdict = 'again'
if ARGV[7] ~= '1' then
  local known = redis.call('HMGET', run, 's:' .. step, 'f:' .. step, 'i:' .. step, 'n:' .. step)
  local settled, floor, edit = known[1], tonumber(known[2] or '0'), known[3]
  local same = (settled == record and known[4] == ARGV[2])
    or (settled == '' and known[4] == ARGV[2] .. ' ' .. ARGV[17])  -- it was let go since (let_go.lua)
  local stale = edit and ARGV[16] ~= '' and number(edit) > tonumber(ARGV[16])
  local ended = not fact and status and status ~= 'running' and status ~= 'cancelled' and status ~= 'compensating'
  if same then  -- the same settlement once more
    if not fact and status ~= 'running' and status ~= 'compensating' then return {'again', '', '', 'waiting'} end
  elseif settled or ended or fence < floor or stale then
    tell(ARGV[11])
    if not settled and not ended then return {'late', '', '', 'fenced'} end
    if redis.call('HDEL', KEYS[3], ARGV[13] .. '|' .. step) == 1 then redis.call('HINCRBY', run, 'open', -1) end
    return {'late', '', '', ''}
  else
    redis.call('HSET', run, 's:' .. step, record, 'n:' .. step, ARGV[2])
    redis.call('HDEL', run, 'f:' .. step, 'r:' .. step, 'h:' .. step, 'd:' .. step)
    if redis.call('HDEL', run, 'p:' .. step) == 1 then redis.call('HINCRBY', run, 'parked', -1) end
    if redis.call('HDEL', KEYS[3], ARGV[13] .. '|' .. step) == 1 then redis.call('HINCRBY', run, 'open', -1) end
    if redis.call('PTTL', run) < tonumber(ARGV[8]) then redis.call('PEXPIRE', run, ARGV[8]) end
    tell(stays and ARGV[18] ~= '' and ARGV[18] or ARGV[4])
    if ARGV[15] ~= '' then
      local number = redis.call('HINCRBY', run, 'undoable', 1)
      redis.call('HSET', run, 'c:' .. string.format('%09d', number), ARGV[15])
    end
    verdict = 'settled'
  end
end
if stays then
  -- What was still running when its run was cancelled is undone too
  if ARGV[15] == '' or not redis.call('HGET', run, 'undoing') then return {'cancelled', '', '', ''} end
  if ARGV[7] == '1' then
    if redis.call('HEXISTS', run, 'x:' .. step) == 0 then return {'cancelled', '', '', ''} end
  elseif redis.call('HSETNX', run, 'x:' .. step, '1') == 1 then
    redis.call('HINCRBY', run, 'undoing', 1)
  end
  redis.call('HSET', run, 'status', 'compensating')
  redis.call('PEXPIRE', run, ARGV[8])
  return {'undo', '', '', ''}
end

-- A part of a join: its data as JSON text, and its schemas as 'path=uri' joined by spaces
local function part(text)
  local cut = string.find(text, '\n', 1, true)
  return string.sub(text, cut + 1), string.sub(text, 1, cut - 1)
end
local data, schemas = part(ARGV[12])
local joined = false

-- The names of what a join has: those of its branches, or the numbers of its items
local function branches(join)
  if join.count == 0 then return join.branches end
  local numbers = {}
  for number = 0, join.count - 1 do numbers[#numbers + 1] = tostring(number) end
  return numbers
end

local mark = ''

-- Where the first to arrive is all there is: whether this is it. A fallback leaves its mark. Nothing in there is parked then.
local function first(join)
  local place, text = 'j:' .. join.path .. '.one', schemas .. '\n' .. data
  if redis.call('HSETNX', run, place, text) == 1 then
    redis.call('PEXPIRE', run, ARGV[8])
    if ARGV[7] == '1' then tell(ARGV[4]) end
    local waited = redis.call('HGET', run, 'w:' .. join.path)
    if waited then redis.call('HSET', run, 'v:' .. join.path, waited) end  -- for a signal that is sent again
    redis.call('HDEL', run, 'w:' .. join.path)
    if join.mark ~= '' then redis.call('HSET', run, 'm:' .. join.path, join.mark) end
    if tonumber(redis.call('HGET', run, 'parked') or '0') > 0 then
      local step, instead = 'p:' .. join.path .. '.b.', 'p:' .. join.path .. '.f.'
      for _, field in ipairs(redis.call('HKEYS', run)) do
        local start = string.sub(field, 1, #step)
        if start == step or start == instead then
          redis.call('HDEL', run, field)
          redis.call('HINCRBY', run, 'parked', -1)
          if redis.call('HDEL', KEYS[3], ARGV[13] .. '|' .. string.sub(field, 3)) == 1 then redis.call('HINCRBY', run, 'open', -1) end
        end
      end
    end
  elseif redis.call('HGET', run, place) ~= text then
    tell(ARGV[11])
    return false
  end
  mark = redis.call('HGET', run, 'm:' .. join.path) or mark
  return true
end

-- The contract versions in the schemas of a part, as 'name/version,name/version'
local function refs(of)
  local found = {}
  for name, version in string.gmatch(of, 'urn:contract:([^%s=]+):(%d+)') do
    found[#found + 1] = name .. '/' .. version
  end
  return table.concat(found, ',')
end

-- A part that waits for the others is outstanding, for whoever is next; once they are complete the next message is.
local function wait(place, branch)
  local agent = ARGV[20] and string.match(ARGV[20], '^%S+')
  local of = refs(schemas)
  if not agent or of == '' then return end
  redis.call('HSET', KEYS[3], ARGV[13] .. '|' .. place .. branch, ARGV[14] .. ' ' .. agent .. ' ' .. of)
  redis.call('PEXPIRE', KEYS[3], ARGV[8])
end

-- Branches and items: whether all have arrived. Then what they made is put together.
local function all(join)
  local place, items = 'j:' .. join.path .. '.', join.count > 0
  local fresh = redis.call('HSETNX', run, place .. join.branch, schemas .. '\n' .. data)
  redis.call('PEXPIRE', run, ARGV[8])
  if fresh == 1 then wait(place, join.branch) end
  if fresh == 1 and mark ~= '' then  -- what arrives is a fallback: those it is put together with must not hide that
    if items then redis.call('HINCRBY', run, 'm:' .. place .. '#', 1)
    else redis.call('HSET', run, 'm:' .. place .. join.branch, mark) end
  end
  if items then
    if fresh == 1 then redis.call('HINCRBY', run, place .. '#', 1) end
    if tonumber(redis.call('HGET', run, place .. '#')) < join.count then return false end
  end
  local texts, names, marks = {}, {}, {}
  local marked = items and redis.call('HGET', run, 'm:' .. place .. '#')
  if marked then marks[1] = marked .. ' of ' .. join.count .. ' items' end
  for _, branch in ipairs(branches(join)) do
    if not items then
      local of = redis.call('HGET', run, 'm:' .. place .. branch)
      if of then marks[#marks + 1] = branch .. ': ' .. of end
    end
    local text = redis.call('HGET', run, place .. branch)
    if not text then return false end
    local value, of = part(text)
    texts[#texts + 1] = items and value or ('"' .. branch .. '":' .. value)
    local prefix = items and (join.into .. '.' .. branch) or branch
    for word in string.gmatch(of, '%S+') do
      local sign = string.find(word, '=', 1, true)
      if sign then names[#names + 1] = prefix .. '.' .. word
      else names[#names + 1] = prefix .. '=' .. word end
    end
  end
  for _, branch in ipairs(branches(join)) do redis.call('HDEL', KEYS[3], ARGV[13] .. '|' .. place .. branch) end
  if items then data = '{"' .. join.into .. '":[' .. table.concat(texts, ',') .. ']}'
  else data = '{' .. table.concat(texts, ',') .. '}' end
  schemas, mark = table.concat(names, ' '), string.sub(table.concat(marks, '; '), 1, 200)
  return true
end

for level, join in ipairs(cjson.decode(ARGV[5])) do
  local complete
  if join.one then complete = first(join) else complete = all(join) end
  if not complete then return {verdict, '', '', 'waiting', tostring(level)} end
  joined = true
end
for at = 19, #ARGV, 2 do
  if redis.call('HEXISTS', run, 's:' .. ARGV[at]) == 0 then
    local of = joined and refs(schemas) or ''
    if of ~= '' then of = ',' .. of end
    local fresh = redis.call('HSET', KEYS[3], ARGV[13] .. '|' .. ARGV[at], ARGV[14] .. ' ' .. ARGV[at + 1] .. of)
    if fresh == 1 then redis.call('HINCRBY', run, 'open', 1) end
    redis.call('PEXPIRE', KEYS[3], ARGV[8])
  end
end
if ARGV[6] == '1' and undoes then
  if redis.call('HSETNX', run, 'x:' .. step, '1') == 1 and redis.call('HINCRBY', run, 'undoing', -1) <= 0 then
    redis.call('HSET', run, 'status', 'cancelled')
    redis.call('PEXPIRE', run, ARGV[9])
  end
elseif ARGV[6] == '1' then
  local fields = redis.call('HKEYS', run)
  for _, field in ipairs(fields) do
    local kind = string.sub(field, 1, 2)
    if kind == 'j:' then redis.call('HDEL', KEYS[3], ARGV[13] .. '|' .. field) end  -- it waited in a budget that was spent
    if kind == 'j:' or kind == 'f:' or kind == 'e:' or kind == 'm:' or kind == 'i:' or kind == 'r:' or kind == 'h:' or kind == 'd:' or kind == 'v:' then redis.call('HDEL', run, field) end  -- 's:' stays: fence.lua asks for it
  end
  redis.call('HSET', run, 'status', 'completed', 'result', schemas .. '\n' .. data)
  redis.call('PEXPIRE', run, ARGV[9])
end
if joined then return {verdict, data, schemas, 'complete', '0', mark} end
return {verdict, '', '', 'complete'}
