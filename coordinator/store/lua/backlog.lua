-- What was sent to the agents of a shard's runs and is not settled.
-- KEYS: outstanding
-- ARGV: ttl (ms: what is older may belong to no run any more), runs (what the keys of the shard's runs begin with)
-- Gives by threes an agent, how many steps that is, and since when the oldest of those waits that are not parked (ms, 0 where there is none).
local counts, oldest, names = {}, {}, {}
local forgotten = clock() - tonumber(arg.ttl)
local fields = redis.call('HGETALL', key.outstanding)
for at = 1, #fields, 2 do
  local run, step = string.match(fields[at], '^(.*)|(.*)$')
  local since, agent = string.match(fields[at + 1], '^(%d+) (%S+)')
  since = tonumber(since)
  if run and since and string.sub(step, 1, 2) ~= ARRIVED then
    local hash = arg.runs .. run
    if since >= forgotten or redis.call('EXISTS', hash) == 1 then
      if not counts[agent] then names[#names + 1] = agent end
      counts[agent] = (counts[agent] or 0) + 1
      if (not oldest[agent] or since < oldest[agent]) and redis.call('HEXISTS', hash, PARKED .. step) == 0 then
        oldest[agent] = since
      end
    end
  end
end
local found = {}
for _, agent in ipairs(names) do
  found[#found + 1] = agent
  found[#found + 1] = tostring(counts[agent])
  found[#found + 1] = string.format('%.0f', oldest[agent] or 0)
end
return found
