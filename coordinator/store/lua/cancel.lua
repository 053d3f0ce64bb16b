-- Cancel a run that has not ended. KEYS: run, history, starting, outstanding, scheduled, later.
-- ARGV: entry, result ttl, history ttl (ms), run id, compensate ('1': undo what was done)
-- Gives the status, and what undoes the steps, in the order in which they were settled. Asked again it gives the same again.
local status = redis.call('HGET', KEYS[1], 'status')
local story = string.sub(redis.call('HGET', KEYS[1], 'flow') or '', 1, 3) == 'on:'
local function fact(field) return not story and string.find(field, '@', 1, true) end  -- what hears an event goes on
local function undo()
  local found, fields = {}, redis.call('HKEYS', KEYS[1])
  table.sort(fields)
  for _, field in ipairs(fields) do
    if string.sub(field, 1, 2) == 'c:' then found[#found + 1] = redis.call('HGET', KEYS[1], field) end
  end
  return found
end
if status == 'compensating' and ARGV[5] == '1' then return {status, unpack(undo())} end
if status ~= 'running' and status ~= 'scheduled' then return {status or ''} end
local found = ARGV[5] == '1' and undo() or {}
redis.call('HSET', KEYS[1], 'status', #found > 0 and 'compensating' or 'cancelled')
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do  -- what was parked waits for nobody any more
  if string.sub(field, 1, 2) == 'p:' and not fact(field) then
    redis.call('HDEL', KEYS[1], field)
    redis.call('HINCRBY', KEYS[1], 'parked', -1)
  end
end
if ARGV[5] == '1' then redis.call('HSET', KEYS[1], 'undoing', #found > 0 and 1 or 0) end
redis.call('HDEL', KEYS[1], 'first', 'paused')
redis.call('ZREM', KEYS[3], ARGV[4])
redis.call('ZREM', KEYS[5], ARGV[4])
redis.call('HDEL', KEYS[6], ARGV[4])
for _, field in ipairs(redis.call('HKEYS', KEYS[4])) do
  if string.sub(field, 1, #ARGV[4] + 1) == ARGV[4] .. '|' and not fact(field) then redis.call('HDEL', KEYS[4], field) end
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('XADD', KEYS[2], '*', 'entry', ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return {#found > 0 and 'compensating' or 'cancelled', unpack(found)}
