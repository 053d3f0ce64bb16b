-- A lease lapses at once, for its holder lives and could not go on: a server was away. That is no crash.
-- KEYS: outcome
-- ARGV: fence, token (of the claim, where its answer has not come)
-- The holder may have settled all the same, so whoever takes it over shuts it out, as after a crash.
local known = redis.call('HMGET', key.outcome, 'state', 'fence', 'token')
if known[1] ~= 'leased' or not (known[2] == arg.fence or known[3] == arg.token) then return 0 end
redis.call('HSET', key.outcome, 'until', 0, 'lapsed', known[2])
return 1
