-- Somebody has a message of the run in hand.
-- KEYS: run
-- ARGV: ttl (ms)
if redis.call('HEXISTS', key.run, 'flow') == 0 then return 0 end
redis.call('HSET', key.run, 'alive', digits(clock()))
keep(key.run, arg.ttl)
return 1
