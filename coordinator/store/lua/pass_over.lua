-- A step that its agent does not want is not outstanding any more.
-- KEYS: run, outstanding
-- ARGV: step, run_id
if redis.call('EXISTS', key.run) == 1 then close_step(arg.step)
else redis.call('HDEL', key.outstanding, arg.run_id .. '|' .. arg.step) end
return 1
