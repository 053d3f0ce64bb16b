-- Cancel a run that has not ended.
-- KEYS: run, history, starting, outstanding, scheduled, later
-- ARGV: run_id, entry, compensate ('1': undo what was done), ttl (ms), result_ttl (ms)
-- Gives the status, and what undoes the steps, in the order in which they were settled. Asked again it gives the same again.
local status = redis.call('HGET', key.run, 'status')
local flow = redis.call('HGET', key.run, 'flow') or ''

local function undo()
  local found, fields = {}, fields_of(UNDO)
  table.sort(fields)
  for at, field in ipairs(fields) do found[at] = redis.call('HGET', key.run, field) end
  return found
end

if status == 'compensating' and arg.compensate == '1' then return {status, unpack(undo())} end
if status ~= 'running' and status ~= 'scheduled' then return {status or ''} end
local found = arg.compensate == '1' and undo() or {}
status = #found > 0 and 'compensating' or 'cancelled'
redis.call('HSET', key.run, 'status', status)
for _, field in ipairs(fields_of(PARKED)) do  -- what was parked does not wait any more
  if not outlives_run(field, flow) then unpark(string.sub(field, 3)) end
end
if arg.compensate == '1' then redis.call('HSET', key.run, 'undoing', #found > 0 and 1 or 0) end
redis.call('HDEL', key.run, 'first', 'paused')
redis.call('ZREM', key.starting, arg.run_id)
redis.call('ZREM', key.scheduled, arg.run_id)
redis.call('HDEL', key.later, arg.run_id)
local prefix = arg.run_id .. '|'
for _, field in ipairs(redis.call('HKEYS', key.outstanding)) do
  if string.sub(field, 1, #prefix) == prefix and not outlives_run(field, flow) then redis.call('HDEL', key.outstanding, field) end
end
redis.call('PEXPIRE', key.run, arg.result_ttl)
tell(arg.entry)
return {status, unpack(found)}
