-- A run waits for a signal. KEYS: run. ARGV: path, signal, what follows (JSON), ttl (ms), then the budgets that it is in
-- Gives the signal's record where it came before, otherwise nothing. It is this wait's from now on.
local run = KEYS[1]
if redis.call('HEXISTS', run, 'j:' .. ARGV[1] .. '.one') == 1 then  -- it came, and perhaps nobody lived to send what follows
  return redis.call('HGET', run, 'o:' .. ARGV[2]) == ARGV[1] and redis.call('HGET', run, 'g:' .. ARGV[2]) or ''
end
for at = 5, #ARGV do  -- something has come back from there: nobody needs the signal
  if redis.call('HEXISTS', run, 'j:' .. ARGV[at] .. '.one') == 1 then return '' end
end
redis.call('HSETNX', run, 'w:' .. ARGV[1], ARGV[3])  -- it says since when, and stays as it is
redis.call('PEXPIRE', run, ARGV[4])
local owner = redis.call('HGET', run, 'o:' .. ARGV[2])
if owner and owner ~= ARGV[1] then return '' end
local record = redis.call('HGET', run, 'g:' .. ARGV[2])
if record then redis.call('HSET', run, 'o:' .. ARGV[2], ARGV[1]) end
return record or ''
