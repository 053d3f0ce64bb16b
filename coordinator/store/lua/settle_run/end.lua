-- A chain of steps that undo ends here, and with the last of them the compensation.
local function end_undoing()
  if redis.call('HSETNX', key.run, UNDONE .. step, '1') == 1 and redis.call('HINCRBY', key.run, 'undoing', -1) <= 0 then
    redis.call('HSET', key.run, 'status', 'cancelled')
    redis.call('PEXPIRE', key.run, arg.result_ttl)
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
  redis.call('PEXPIRE', key.run, arg.result_ttl)
end
