-- An outcome is to be undone, or was: it does not answer for its idempotency key any more.
-- KEYS: outcome
-- ARGV: fence (under which it was settled: another outcome of the key is left alone), undone ('1', or '': it is to be), ttl (ms)
-- Gives 1 where that is the outcome; also where only its run knows it, for its process died before the key was told. Each that was
-- undone counts: the next one of the key is of the next generation.
local known = redis.call('HMGET', key.outcome, 'state', 'fence')
local state, fence = known[1], known[2]
if fence ~= arg.fence or (state ~= 'done' and state ~= 'undoing' and state ~= 'leased') then return 0 end
if arg.undone == '1' then
  redis.call('HSET', key.outcome, 'state', 'undone')
  redis.call('HINCRBY', key.outcome, 'generation', 1)
  redis.call('HDEL', key.outcome, 'content', 'record', 'maker', 'told', 'holders', 'owner', 'until', 'token')
else redis.call('HSET', key.outcome, 'state', 'undoing') end
keep(key.outcome, arg.ttl)
return 1
