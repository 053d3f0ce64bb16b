-- A run lets an outcome go: its idempotency key has it, and what follows is on its way. KEYS: run. ARGV: step, fence, digest
-- That the step is settled, and by which settlement, stays.
local known = redis.call('HMGET', KEYS[1], 's:' .. ARGV[1], 'n:' .. ARGV[1])
if not known[1] or known[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 's:' .. ARGV[1], '', 'n:' .. ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
return 1
