-- The events of an outcome go out once a run.
-- KEYS: run
-- ARGV: emitter (what names agent and idempotency key), step
-- Gives the step that sends them: the first that asked.
if redis.call('EXISTS', key.run) == 0 then return arg.step end
redis.call('HSETNX', key.run, EMITTER .. arg.emitter, arg.step)
return redis.call('HGET', key.run, EMITTER .. arg.emitter)
