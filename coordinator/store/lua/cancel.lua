-- Cancel a run that has not ended.
-- KEYS: run, ended, history, starting, outstanding, scheduled, later
-- ARGV: run_id, entry, compensate ('1': undo what was done), ttl (ms), result_ttl (ms)
-- Gives the status, and where steps are to be undone the first of them: {what undoes it as JSON, its record, how many are to be
-- undone after it}. Asked again it gives the one that it is at. Until that is sent, the run is among those that the sweep sees to.
local status = redis.call('HGET', key.run, 'status')
local flow = redis.call('HGET', key.run, 'flow') or ''

if status == 'compensating' and arg.compensate == '1' then
  local at = tonumber(redis.call('HGET', key.run, 'undo_at') or '0')
  if at > 0 then return {status, unpack(undo_step(at, at - 1))} end
  return {status}
end
if status ~= 'running' and status ~= 'scheduled' then return {status_of_run() or ''} end
local count = arg.compensate == '1' and tonumber(redis.call('HGET', key.run, 'undoable') or '0') or 0
status = count > 0 and 'compensating' or 'cancelled'
redis.call('HSET', key.run, 'status', status)
for _, field in ipairs(fields_of(PARKED)) do  -- what was parked does not wait any more
  if not outlives_run(field, flow) then unpark(string.sub(field, 3)) end
end
if arg.compensate == '1' then redis.call('HSET', key.run, 'undoing', count > 0 and 1 or 0, 'undo_at', count) end
redis.call('HDEL', key.run, 'first', 'paused', ORIGIN .. 'first')
redis.call('ZREM', key.starting, arg.run_id)
redis.call('ZREM', key.scheduled, arg.run_id)
redis.call('HDEL', key.later, arg.run_id)
close_all_steps(flow)
tell(arg.entry)
if count == 0 then
  bury(status)
  return {status}
end
redis.call('PEXPIRE', key.run, arg.ttl)
redis.call('ZADD', key.starting, digits(clock()), arg.run_id)
redis.call('PEXPIRE', key.starting, arg.ttl)
return {status, unpack(undo_step(count, count - 1))}
