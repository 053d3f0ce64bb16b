-- A run that has ended and is forgotten goes on in another life: whoever starts it under its key is to find that.
-- KEYS: ended
-- ARGV: life (its number), ttl (ms)
-- It is kept at least that long, so that the run does not begin once more beside its other life.
local known = redis.call('GET', key.ended) or 'cancelled'
local life = math.max(tonumber(arg.life), tonumber(string.match(known, ' life (%d+)') or '0'))
local ttl = math.max(redis.call('PTTL', key.ended), tonumber(arg.ttl))
redis.call('SET', key.ended, string.gsub(known, ' life %d+', '') .. ' life ' .. digits(life), 'PX', digits(ttl))
return 1
