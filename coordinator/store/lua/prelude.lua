-- What scripts share. scripts.py puts before each script those of these functions that it uses. Names are replaced when a script
-- is sent: `key.run`, `arg.step` by the keys and arguments that it says it is given, and SETTLED and so on by the kinds of
-- fields (fields.py).

local function words(text) return string.gmatch(text, '%S+') end

local function lines(text) return string.gmatch(text, '[^\n]+') end

-- What time it is, in milliseconds since 1970
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- A number without a fraction as text, however large
local function digits(number) return string.format('%.0f', number) end

-- Keep a key at least that long (ms)
local function keep(name, ttl)
  if redis.call('PTTL', name) < tonumber(ttl) then redis.call('PEXPIRE', name, ttl) end
end

-- Append to the history, unless the entry is empty
local function tell(entry)
  if entry == '' then return end
  redis.call('XADD', key.history, '*', 'entry', entry)
  redis.call('PEXPIRE', key.history, arg.ttl)
end

-- A story, which an event has begun, stands for a flow
local function is_story(flow) return string.sub(flow, 1, 3) == 'on:' end

-- What follows an event of a flow goes on whatever becomes of the flow's run; a story is one with its run
local function outlives_run(step, flow) return string.find(step, '@', 1, true) and not is_story(flow) end

-- While a run is compensating, only what undoes its steps runs
local function undoes(step, status) return status == 'compensating' and string.sub(step, -5) == '.undo' end

-- Whether something has come back from a budget, or a wait
local function is_spent(path) return redis.call('HEXISTS', key.run, ARRIVED .. path .. '.one') == 1 end

local function is_any_spent(paths)
  for path in words(paths) do
    if is_spent(path) then return true end
  end
  return false
end

-- The number of an edit; of what is none it is above all: it is not replaced, and the worker that gets it refuses it
local function edit_number(edit)
  local read, value = pcall(cjson.decode, edit)
  return read and type(value) == 'table' and tonumber(value.number) or math.huge
end

-- The fields of the run of one kind
local function fields_of(kind)
  local found = {}
  for _, field in ipairs(redis.call('HKEYS', key.run)) do
    if string.sub(field, 1, 2) == kind then found[#found + 1] = field end
  end
  return found
end

-- A step is not parked any more
local function unpark(step)
  if redis.call('HDEL', key.run, PARKED .. step) == 1 then redis.call('HINCRBY', key.run, 'parked', -1) end
end

-- A step is outstanding, since a time and for 'agent contract/version'
local function open_step(step, since, what)
  if redis.call('HSET', key.outstanding, arg.run_id .. '|' .. step, since .. ' ' .. what) == 1 then
    redis.call('HINCRBY', key.run, 'open', 1)
  end
  redis.call('PEXPIRE', key.outstanding, arg.ttl)
end

-- A step of a run that is there is not outstanding any more
local function close_step(step)
  if redis.call('HDEL', key.outstanding, arg.run_id .. '|' .. step) == 1 then redis.call('HINCRBY', key.run, 'open', -1) end
end

-- Open the steps that are listed, a line each: 'step agent contract/version'
local function open_steps(sends, since)
  for line in lines(sends) do
    local step, what = string.match(line, '^(.*) (%S+ %S+)$')
    open_step(step, since, what)
  end
end
