-- What scripts share. scripts.py puts before each script those of these functions that it uses. Names are replaced when a script
-- is sent: `key.run`, `arg.step` by the keys and arguments that it says it is given, and SETTLED and so on by the kinds of
-- fields (fields.py).

local function words(text) return string.gmatch(text, '%S+') end

local function lines(text) return string.gmatch(text, '[^\n]+') end

-- Whoever waits for the run is told that it has ended, or is parked; where that is not allowed, they find out by looking
local function announce() redis.pcall('PUBLISH', key.run, 'ended') end

-- What time it is, in milliseconds since 1970. A test may have moved it, which is kept at MOVED then; otherwise that is empty
local function clock()
  local moved = MOVED ~= '' and redis.call('HMGET', MOVED, 'ahead', 'held') or {}
  if moved[2] then return tonumber(moved[2]) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000) + (moved[1] or 0)
end

-- A number without a fraction as text, however large
local function digits(number) return string.format('%.0f', number) end

-- Keep a key at least that long (ms)
local function keep(name, ttl)
  if redis.call('PTTL', name) < tonumber(ttl) then redis.call('PEXPIRE', name, ttl) end
end

-- Keep an outcome; one that was undone before is remembered longer than others, so that the number of its generation is
local function keep_outcome()
  if redis.call('HEXISTS', key.outcome, 'generation') == 1 then keep(key.outcome, arg.ttl)
  else redis.call('PEXPIRE', key.outcome, arg.ttl) end
end

-- Append to the history, unless the entry is empty
local function tell(entry)
  if entry == '' then return end
  local id = MOVED ~= '' and digits(clock()) .. '-*' or '*'
  redis.call('XADD', key.history, id, 'entry', entry)
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

-- One whose lease was taken over lives: that was no crash
local function lives(fence)
  local known = redis.call('HMGET', key.outcome, 'crashes', 'lived', 'lapsed')
  if known[2] == fence or known[3] == fence or tonumber(known[1] or '0') <= 0 then return end
  redis.call('HINCRBY', key.outcome, 'crashes', -1)
  redis.call('HSET', key.outcome, 'lived', fence)
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

-- A step is not outstanding any more. With the last of them a story ends
local function close_step(step)
  if redis.call('HDEL', key.outstanding, arg.run_id .. '|' .. step) == 1 and redis.call('EXISTS', key.run) == 1 then
    local open = redis.call('HINCRBY', key.run, 'open', -1)
    if open <= 0 and is_story(redis.call('HGET', key.run, 'flow') or '') then announce() end
  end
end

-- Open the steps that are listed, a line each: 'step agent contract/version'
local function open_steps(sends, since)
  for line in lines(sends) do
    local step, what = string.match(line, '^(.*) (%S+ %S+)$')
    if step then open_step(step, since, what) end
  end
end
