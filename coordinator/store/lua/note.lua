-- Append to the history. KEYS: history. ARGV: entry, history ttl (ms)
redis.call('XADD', KEYS[1], '*', 'entry', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
