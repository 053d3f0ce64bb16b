-- A step that its agent does not want is not outstanding any more. KEYS: run, outstanding. ARGV: step, run id
if redis.call('HDEL', KEYS[2], ARGV[2] .. '|' .. ARGV[1]) == 1 and redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HINCRBY', KEYS[1], 'open', -1)
end
return 1
