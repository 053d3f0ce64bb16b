-- The first messages of a run are in the broker's hands. KEYS: run, starting. ARGV: run id
redis.call('HDEL', KEYS[1], 'first')
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
