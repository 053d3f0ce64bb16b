-- A step has an outcome by what the journal says, and its run, which Redis has of an earlier time, does not know it.
-- KEYS: run, ended, outstanding
-- ARGV: step, flow, run_id, record (the outcome; '': the journal has it not whole), digest (of the record), reason, ttl (ms)
-- A run that has let its outcome go, which its key may have lost by now, has it itself from now on.
-- Gives 'restored' (whoever comes passes it on), 'lost' (nobody does it again but a person who says so), 'known' (the run has it),
-- or the status of a run that does not go on.
local status, step = status_of_run(), arg.step
if status and status ~= 'running' then return status end
if not status then redis.call('HSET', key.run, 'flow', arg.flow, 'status', 'running', 'started', digits(clock())) end
keep(key.run, arg.ttl)
local settled, by = unpack(redis.call('HMGET', key.run, SETTLED .. step, SETTLED_BY .. step))
if settled == '' and arg.record ~= '' and string.match(by or '', ' (%S+)$') == arg.digest then
  redis.call('HSET', key.run, SETTLED .. step, arg.record, SETTLED_BY .. step, string.match(by, '^%S+'))
end
if settled then return 'known' end
if arg.record ~= '' then
  redis.call('HSET', key.run, SETTLED .. step, arg.record, SETTLED_BY .. step, '0')
  redis.call('HDEL', key.run, LOST .. step, BEGUN .. step)
  unpark(step)
  close_step(step)
  return 'restored'
end
if redis.call('HEXISTS', key.run, PARKED .. step) == 0 then redis.call('HSET', key.run, LOST .. step, arg.reason) end
return 'lost'
