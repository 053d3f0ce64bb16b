-- Count what an attempt has used up by now: of each amount what it has not said before.
-- KEYS: usage, flow (the sums of its flow, by day and name)
-- ARGV: attempt, amounts (lines: name, number), ttl (ms), days (how many are remembered), flow_ttl (ms)
local today = math.floor(clock() / 86400000)
local function forget_days_before(first)
  for _, field in ipairs(redis.call('HKEYS', key.flow)) do
    if (tonumber(string.match(field, '^%d+')) or 0) < first then redis.call('HDEL', key.flow, field) end
  end
end
for line in lines(arg.amounts) do
  local name, number = string.match(line, '^(%S+) (%d+)$')
  local field = 'of:' .. name .. ':' .. arg.attempt
  local more = tonumber(number) - tonumber(redis.call('HGET', key.usage, field) or '0')
  if more > 0 then
    redis.call('HSET', key.usage, field, number)
    redis.call('HINCRBY', key.usage, 'sum:' .. name, digits(more))
    local sum = redis.call('HINCRBY', key.flow, digits(today) .. ' ' .. name, digits(more))
    if sum == more then forget_days_before(today - tonumber(arg.days)) end
  end
end
redis.call('PEXPIRE', key.usage, arg.ttl)
redis.call('PEXPIRE', key.flow, arg.flow_ttl)
return 1
