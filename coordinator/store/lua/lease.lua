-- What is known of an idempotency key.
-- KEYS: outcome
-- ARGV: (none)
-- Gives nothing, or {state, content, '1' where a worker has it in hand now, its holders}
local known = redis.call('HMGET', key.outcome, 'state', 'content', 'until', 'holders')
if not known[1] or known[1] == 'undone' then return {} end
local held = known[1] == 'leased' and tonumber(known[3] or '0') > clock()
return {known[1], known[2] or '', held and '1' or '', known[4] or ''}
