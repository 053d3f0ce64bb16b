-- A signal that came cannot be passed on, and is not taken after all.
-- KEYS: run, history
-- ARGV: path (of the wait that it was for), name, record, entry (told where it is taken back; may be empty), ttl (ms)
-- Gives 'taken-back', 'gone' where another is there, or none any more, or 'over' where a step goes on with it.
if is_spent(arg.path) then return 'over' end
if redis.call('HGET', key.run, SIGNAL .. arg.name) ~= arg.record then return 'gone' end
redis.call('HDEL', key.run, SIGNAL .. arg.name, SIGNAL_OF .. arg.name)
tell(arg.entry)
return 'taken-back'
