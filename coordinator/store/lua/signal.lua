-- A signal comes.
-- KEYS: run, ended, history
-- ARGV: name, record, waits (where the run may ever wait for it, if that is known: a line each, its path and those of the budgets
--       around it), entry, ttl (ms)
-- Gives {what became of it, what follows the step that waits for it (JSON) or ''}: 'accepted', 'again' (the same came before),
-- 'conflict' (another came before, and no step waits for a further one), 'over' (none waits for it any more), or the run's status where it has ended.
local name = arg.name
local status = status_of_run()
if status ~= 'running' and status ~= 'scheduled' then return {status or '', ''} end

-- Whether a budget around a step that waits is spent, so that it waits no more
local function is_over(budgets)
  if type(budgets) ~= 'table' then return false end
  for _, budget in ipairs(budgets) do
    if is_spent(budget) then return true end
  end
  return false
end

-- The first step that waits for this signal, by its path
local path, follows
for _, field in ipairs(fields_of(AWAITED)) do
  local text = redis.call('HGET', key.run, field)
  local wait = cjson.decode(text)
  if wait.signal == name and (not path or field < AWAITED .. path) and not is_over(wait.scopes) then
    path, follows = string.sub(field, 3), text
  end
end
local known, owner = redis.call('HGET', key.run, SIGNAL .. name), redis.call('HGET', key.run, SIGNAL_OF .. name)

-- Whether every step that may ever wait for it has its signal, or what took its place
local function is_all_over()
  for wait in lines(arg.waits) do
    if not is_any_spent(wait) then return false end
  end
  return arg.waits ~= ''
end

local verdict = 'accepted'
if known == arg.record then verdict = 'again'
elseif known and not (owner and is_spent(owner)) then return {'conflict', ''}
elseif not path and is_all_over() then return {'over', ''} end
if verdict == 'accepted' then
  redis.call('HSET', key.run, SIGNAL .. name, arg.record)
  redis.call('HDEL', key.run, SIGNAL_OF .. name)
  if status == 'running' then redis.call('PEXPIRE', key.run, arg.ttl) end  -- one that waits for its time is kept longer
  tell(arg.entry)
  owner = false
end
if verdict == 'again' and owner and owner ~= path then  -- what follows may have been lost
  return {verdict, redis.call('HGET', key.run, FOLLOWED .. owner) or ''}
end
if not path or (owner and owner ~= path) then return {verdict, ''} end
redis.call('HSET', key.run, SIGNAL_OF .. name, path)
return {verdict, follows}
