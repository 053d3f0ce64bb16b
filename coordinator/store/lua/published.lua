-- The first messages of a run are in the broker's hands.
-- KEYS: run, starting
-- ARGV: run_id
redis.call('HDEL', key.run, 'first')
redis.call('ZREM', key.starting, arg.run_id)
return 1
