-- A signal comes. KEYS: run, history. ARGV: signal, record, entry, ttl, history ttl (ms)
-- Gives {what became of it, what follows the step that waits for it (JSON) or ''}: 'accepted', 'again' (the same came before),
-- 'conflict' (another came before, and no step waits for a further one), or the run's status where it has ended.
local run, name = KEYS[1], ARGV[1]
local status = redis.call('HGET', run, 'status')
if status ~= 'running' and status ~= 'scheduled' then return {status or '', ''} end

-- Whether a budget around a step that waits is spent, so that it waits no more
local function over(scopes)
  if type(scopes) ~= 'table' then return false end
  for _, scope in ipairs(scopes) do
    if redis.call('HEXISTS', run, 'j:' .. scope .. '.one') == 1 then return true end
  end
  return false
end

-- The first step that waits for this signal, by its path
local path, follows
for _, field in ipairs(redis.call('HKEYS', run)) do
  if string.sub(field, 1, 2) == 'w:' then
    local text = redis.call('HGET', run, field)
    local wait = cjson.decode(text)
    if wait.signal == name and (not path or field < path) and not over(wait.scopes) then path, follows = field, text end
  end
end
local known, owner = redis.call('HGET', run, 'g:' .. name), redis.call('HGET', run, 'o:' .. name)
local verdict = 'accepted'
if known == ARGV[2] then verdict = 'again'
elseif known and not (owner and redis.call('HEXISTS', run, 'j:' .. owner .. '.one') == 1) then return {'conflict', ''} end
if verdict == 'accepted' then
  redis.call('HSET', run, 'g:' .. name, ARGV[2])
  redis.call('HDEL', run, 'o:' .. name)
  if status == 'running' then redis.call('PEXPIRE', run, ARGV[4]) end  -- one that waits for its time is kept longer
  redis.call('XADD', KEYS[2], '*', 'entry', ARGV[3])
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
  owner = false
end
if verdict == 'again' and owner and 'w:' .. owner ~= path then  -- perhaps nobody lived to send what follows
  return {verdict, redis.call('HGET', run, 'v:' .. owner) or ''}
end
if not path or (owner and 'w:' .. owner ~= path) then return {verdict, ''} end
redis.call('HSET', run, 'o:' .. name, string.sub(path, 3))
return {verdict, follows}
