-- Take an outcome back that its run could not take, unless somebody has been told of it.
-- KEYS: outcome
-- ARGV: fence
-- Gives 1, or 0 where it stands.
local known = redis.call('HMGET', key.outcome, 'state', 'fence', 'told')
local state, fence, told = known[1], known[2], known[3]
if state ~= 'done' or fence ~= arg.fence or told then return 0 end
redis.call('HSET', key.outcome, 'state', 'released', 'holders', '', 'crashes', 0)
redis.call('HDEL', key.outcome, 'record')
return 1
