-- A set is worked on: from now on its parts are those that it has. Whoever works on it again gets the same.
-- KEYS: set
-- ARGV: ttl (ms)
-- Gives all of it: fields and their values, one after the other.
if redis.call('EXISTS', key.set) == 0 then return {} end
redis.call('HSETNX', key.set, 'taken', '1')
keep(key.set, arg.ttl)
return redis.call('HGETALL', key.set)
