-- The step that is undone after this one, or nothing where it was the last. It is the run's next only once.
local function undo_next()
  local known = tonumber(redis.call('HGET', key.run, 'undoable') or '0')  -- Redis may have lost the others
  local left, at = math.min(tonumber(arg.left), known), tonumber(redis.call('HGET', key.run, 'undo_at') or '0')
  if left <= 0 then return end
  if at < left then return {} end  -- it is on its way by now
  redis.call('HSET', key.run, 'undo_at', left)
  return undo_step(left, left - 1)
end

-- A chain of steps that undo ends here, and with the last of them the compensation.
local function end_undoing()
  if redis.call('HSETNX', key.run, UNDONE .. step, '1') == 1 and redis.call('HINCRBY', key.run, 'undoing', -1) <= 0 then
    redis.call('HSET', key.run, 'status', 'cancelled')
    bury('cancelled')
  end
end

-- The run ends here: it has its result, and forgets what it needed for getting there.
local function end_run()
  for _, field in ipairs(redis.call('HKEYS', key.run)) do
    local kind = string.sub(field, 1, 2)
    if kind == ARRIVED then redis.call('HDEL', key.outstanding, arg.run_id .. '|' .. field) end  -- it waited in a budget that was spent
    if string.find(FORGOTTEN_AT_END, kind, 1, true) then redis.call('HDEL', key.run, field) end
  end
  redis.call('HSET', key.run, 'status', 'completed', 'result', schemas .. '\n' .. data)
  bury('completed')
end
