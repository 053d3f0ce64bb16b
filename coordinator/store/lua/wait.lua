-- A run waits for a signal.
-- KEYS: run
-- ARGV: path, signal, follows (JSON), budgets (that the wait is in: words), ttl (ms)
-- Gives the signal's record where it came before, otherwise nothing. It is this wait's from now on.
local path, signal = arg.path, arg.signal
local owner = redis.call('HGET', key.run, SIGNAL_OF .. signal)
if is_spent(path) then  -- it came, and what follows may have been lost
  return owner == path and redis.call('HGET', key.run, SIGNAL .. signal) or ''
end
if is_any_spent(arg.budgets) then return '' end  -- the signal is not needed
redis.call('HSETNX', key.run, AWAITED .. path, arg.follows)  -- it says since when, and stays as it is
redis.call('PEXPIRE', key.run, arg.ttl)
if owner and owner ~= path then return '' end
local record = redis.call('HGET', key.run, SIGNAL .. signal)
if record then redis.call('HSET', key.run, SIGNAL_OF .. signal, path) end
return record or ''
