-- Settle the step itself, where it may be settled.
local step, now = arg.step, digits(clock())
local status = status_of_run()
local outlives = outlives_run(step, arg.flow)
if outlives or (arg.undo ~= '' and is_compensated()) then recall(arg.flow) end
local undoing = undoes(step, status)
local joins = cjson.decode(arg.joins)
local stays = (status == 'cancelled' or status == 'compensating') and not undoing and not outlives  -- nothing is passed on
local told = stays and arg.quiet ~= '' and arg.quiet or arg.entry  -- what the history says of the outcome

-- Another outcome stands, so that this one counts for nothing
local function tell_late()
  if arg.late ~= '1' then return end
  local entry = string.gsub(arg.quiet ~= '' and arg.quiet or arg.entry, '^{"kind":"[^"]*"', '{"kind":"late"', 1)
  tell(entry)
end

local forgotten = status and not outlives and redis.call('HEXISTS', key.run, 'status') == 0

-- The outcome stands: the step is neither running, held, delayed, parked nor outstanding any more
local function record()
  redis.call('HSET', key.run, SETTLED .. step, arg.record, SETTLED_BY .. step, arg.fence)
  redis.call('HDEL', key.run, FENCE .. step, BEGUN .. step, HELD .. step, DELAYED .. step)
  unpark(step)
  close_step(step)
  keep(key.run, arg.ttl)
  tell(told)
  if arg.undo ~= '' then
    local number = redis.call('HINCRBY', key.run, 'undoable', 1)
    redis.call('HSET', key.run, undo_field(number), arg.undo)
    return number
  end
end

-- The run ended so long ago that it is forgotten: that the step was done is told, and nothing else
local function tell_of_forgotten()
  if arg.again ~= '1' then
    if stays then tell(told) else tell_late() end
  end
  close_step(step)
  return {stays and 'cancelled' or 'late', '', '', ''}
end

local undoable  -- the number under which the step was recorded as one that can be undone

-- Gives the verdict, and the whole reply where nothing is to follow
local function settle()
  local known = redis.call('HMGET', key.run, SETTLED .. step, SETTLED_BY .. step, FENCE .. step, EDIT .. step)
  local settled, by, lowest, edit = known[1], known[2], tonumber(known[3] or '0'), known[4]
  local same = (settled == arg.record and by == arg.fence)
    or (settled == '' and by == arg.fence .. ' ' .. arg.digest)  -- it was let go since (let_go.lua)
  local known_by_key = arg.known == '1'
  if known_by_key then  -- it is the outcome, under whichever fence the holder, or who took over, has settled it here
    same = settled and (settled == arg.record or (settled == '' and string.match(by or '', ' (%S+)$') == arg.digest))
  end
  if same then  -- the same settlement once more
    if not outlives and status ~= 'running' and status ~= 'compensating' then return 'again', {'again', '', '', 'waiting'} end
    return 'again'
  end
  local ended = not outlives and status and status ~= 'running' and status ~= 'cancelled' and status ~= 'compensating'
  local stale = edit and arg.edit ~= '' and edit_number(edit) > tonumber(arg.edit)
  if settled or ended or (tonumber(arg.fence) < lowest and not known_by_key) or stale then
    tell_late()
    if not settled and not ended then return 'late', {'late', '', '', 'fenced'} end
    close_step(step)
    return 'late', {'late', '', '', ''}
  end
  local octets = not stays and excess(joins)
  if octets then return 'too-large', {'too-large', tostring(octets), '', ''} end
  undoable = record()
  return 'settled'
end

-- The number under which a step is to be undone that settled after its run was cancelled
local function number_of_straggler()
  if undoable then return undoable end
  local number = tonumber(redis.call('HGET', key.run, UNDONE .. step) or '0')
  local text = number > 0 and redis.call('HGET', key.run, undo_field(number))
  if text and cjson.decode(text).step == step then return number end
  for _, field in ipairs(number > 0 and fields_of(UNDO) or {}) do  -- an older worker has not written the number
    if cjson.decode(redis.call('HGET', key.run, field)).step == step then return tonumber(string.sub(field, 3)) end
  end
end

-- What was still running when its run was cancelled is undone too. Gives the whole reply
local function settle_cancelled()
  if arg.undo == '' or not redis.call('HGET', key.run, 'undoing') then return {'cancelled', '', '', ''} end
  local number = number_of_straggler()
  if not number then return {'cancelled', '', '', ''} end
  if redis.call('HSETNX', key.run, UNDONE .. step, number) == 1 then redis.call('HINCRBY', key.run, 'undoing', 1) end
  redis.call('HSET', key.run, 'status', 'compensating')
  redis.call('PEXPIRE', key.run, arg.ttl)
  return {'undo', '', '', 'undo', unpack(undo_step(number, 0))}
end
