-- The events of an outcome go out once a run. KEYS: run. ARGV: what names agent and idempotency key, step
-- Gives the step that sends them: the first that asked.
if redis.call('EXISTS', KEYS[1]) == 0 then return ARGV[2] end
redis.call('HSETNX', KEYS[1], 'k:' .. ARGV[1], ARGV[2])
return redis.call('HGET', KEYS[1], 'k:' .. ARGV[1])
