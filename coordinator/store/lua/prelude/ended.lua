-- What scripts share about runs that have ended, and what undoes them. It is part of the prelude.

-- The status of the run, also where it ended so long ago that it is forgotten otherwise (bury); false where there is none
local function status_of_run()
  return redis.call('HGET', key.run, 'status') or string.match(redis.call('GET', key.ended) or '', '^%S+') or false
end

-- The run has ended: it is kept for a while, and that it has ended for as long as a message of it may come. Whatever it waited for
-- is in a delay queue until then, or comes to its next stage, which asks here, however short a run is kept otherwise.
local function bury(status)
  local ttl = math.max(redis.call('PTTL', key.run), tonumber(arg.ttl), tonumber(arg.result_ttl), tonumber(AFTER_ANY_DELAY))
  if redis.call('HEXISTS', key.run, 'undoing') == 1 then status = status .. ' undone' end
  status = status .. (string.match(redis.call('GET', key.ended) or '', ' life %d+') or '')
  redis.call('SET', key.ended, status, 'PX', digits(ttl))
  redis.call('PEXPIRE', key.run, arg.result_ttl)
  announce()
end

-- Whether what the run did is to be undone, or was: also where it is forgotten by now
local function is_compensated()
  return redis.call('HEXISTS', key.run, 'undoing') == 1
    or string.find(redis.call('GET', key.ended) or '', ' undone', 1, true) ~= nil
end

-- Nothing of the run is outstanding any more but what goes on after its end
local function close_all_steps(flow)
  local prefix = arg.run_id .. '|'
  for _, field in ipairs(redis.call('HKEYS', key.outstanding)) do
    if string.sub(field, 1, #prefix) == prefix and not outlives_run(field, flow) then redis.call('HDEL', key.outstanding, field) end
  end
end

-- Something is recorded of a run that is forgotten since it ended: it is a run that has ended, and no other
local function recall(flow)
  if redis.call('HEXISTS', key.run, 'status') == 1 then return end
  local status, undone = string.match(redis.call('GET', key.ended) or '', '^(%S+)(.*)$')
  if not status then return end
  redis.call('HSET', key.run, 'flow', flow, 'status', status)
  if string.find(undone, ' undone', 1, true) then redis.call('HSET', key.run, 'undoing', 0) end
  redis.call('PEXPIRE', key.run, arg.ttl)
end

-- The field that has what undoes the step of that number: nine digits, as runs.py reads them
local function undo_field(number) return UNDO .. string.format('%09d', number) end

-- What undoes the step of that number: {that as JSON, the step's record, how many are to be undone after it}. It is outstanding
-- from now on.
local function undo_step(number, left)
  local text = redis.call('HGET', key.run, undo_field(number))
  local one = cjson.decode(text)
  local made = redis.call('HGET', key.run, SETTLED .. one.step) or ''
  local contract, version = string.match(made, '^urn:contract:([^:%s]+):(%d+)')
  if contract and redis.call('HEXISTS', key.run, SETTLED .. one.step .. '.undo') == 0 then
    open_step(one.step .. '.undo', digits(clock()), one.agent .. ' ' .. contract .. '/' .. version)
  end
  return {text, made, digits(left)}
end
