-- Settle the step itself, where it may be settled.
local step = arg.step
local status = redis.call('HGET', key.run, 'status')
local outlives = outlives_run(step, redis.call('HGET', key.run, 'flow') or '')
local undoing = undoes(step, status)
local stays = (status == 'cancelled' or status == 'compensating') and not undoing and not outlives  -- nothing is passed on

-- The outcome stands: the step is neither running, held, delayed, parked nor outstanding any more
local function record()
  redis.call('HSET', key.run, SETTLED .. step, arg.record, SETTLED_BY .. step, arg.fence)
  redis.call('HDEL', key.run, FENCE .. step, BEGUN .. step, HELD .. step, DELAYED .. step)
  unpark(step)
  close_step(step)
  keep(key.run, arg.ttl)
  tell(stays and arg.quiet ~= '' and arg.quiet or arg.entry)
  if arg.undo ~= '' then
    local number = redis.call('HINCRBY', key.run, 'undoable', 1)
    redis.call('HSET', key.run, UNDO .. string.format('%09d', number), arg.undo)
  end
end

-- Gives the verdict, and the whole reply where nothing is to follow
local function settle()
  local known = redis.call('HMGET', key.run, SETTLED .. step, SETTLED_BY .. step, FENCE .. step, EDIT .. step)
  local settled, by, lowest, edit = known[1], known[2], tonumber(known[3] or '0'), known[4]
  local same = (settled == arg.record and by == arg.fence)
    or (settled == '' and by == arg.fence .. ' ' .. arg.digest)  -- it was let go since (let_go.lua)
  if same then  -- the same settlement once more
    if not outlives and status ~= 'running' and status ~= 'compensating' then return 'again', {'again', '', '', 'waiting'} end
    return 'again'
  end
  local ended = not outlives and status and status ~= 'running' and status ~= 'cancelled' and status ~= 'compensating'
  local stale = edit and arg.edit ~= '' and edit_number(edit) > tonumber(arg.edit)
  if settled or ended or tonumber(arg.fence) < lowest or stale then
    tell(arg.late)
    if not settled and not ended then return 'late', {'late', '', '', 'fenced'} end
    close_step(step)
    return 'late', {'late', '', '', ''}
  end
  record()
  return 'settled'
end

-- What was still running when its run was cancelled is undone too. Gives the whole reply
local function settle_cancelled()
  if arg.undo == '' or not redis.call('HGET', key.run, 'undoing') then return {'cancelled', '', '', ''} end
  if arg.again == '1' then
    if redis.call('HEXISTS', key.run, UNDONE .. step) == 0 then return {'cancelled', '', '', ''} end
  elseif redis.call('HSETNX', key.run, UNDONE .. step, '1') == 1 then
    redis.call('HINCRBY', key.run, 'undoing', 1)
  end
  redis.call('HSET', key.run, 'status', 'compensating')
  redis.call('PEXPIRE', key.run, arg.ttl)
  return {'undo', '', '', ''}
end
