-- A run lets an outcome go: its idempotency key has it, and what follows is on its way.
-- KEYS: run
-- ARGV: step, fence, digest
-- That the step is settled, and by which settlement, stays.
local known = redis.call('HMGET', key.run, SETTLED .. arg.step, SETTLED_BY .. arg.step)
if not known[1] or known[2] ~= arg.fence then return 0 end
redis.call('HSET', key.run, SETTLED .. arg.step, '', SETTLED_BY .. arg.step, arg.fence .. ' ' .. arg.digest)
return 1
