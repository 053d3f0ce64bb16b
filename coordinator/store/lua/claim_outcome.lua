-- Take the lease on an idempotency key.
-- A key whose outcome is being undone is busy until that is done; then the work is done again, as the next generation of it.
-- KEYS: outcome
-- ARGV: content, owner, holder (run|step), lease (ms), ttl (ms), replays, crash_limit, token (this claim; it may be repeated),
--       supersedes (the contents whose place a person's edit has taken: words), older (what the release before called the content)
-- Gives {verdict, number, holders to shut out, record, the content that those holders may have had, if it is another,
--        generation, '1' where the outcome that is known is this holder's own}
local now = clock()
local known = redis.call('HMGET', key.outcome,
  'content', 'state', 'fence', 'until', 'holders', 'crashes', 'epoch', 'record', 'token', 'moved', 'lapsed', 'generation', 'maker')
local content, state, fence, until_, holders = known[1], known[2], known[3], known[4], known[5] or ''
local crashes, replays, record, token, moved_from = tonumber(known[6] or '0'), known[7], known[8], known[9], known[10]
local generation, maker = known[12] or '0', known[13]
if state == 'undoing' then return {'busy', '2000', '', '', '', generation, ''} end
local other = content and content ~= arg.content and content ~= arg.older
local moved = other and string.find(' ' .. arg.supersedes .. ' ', ' ' .. content .. ' ', 1, true)
if other and (state == 'done' or not moved) then
  return {'conflict', '0', holders, '', '', generation, ''}
end
if state == 'done' then
  redis.call('HSET', key.outcome, 'told', '1')  -- from now on it is not withdrawn
  return {'done', fence, '', record, '', generation, maker == arg.holder and '1' or ''}
end
if state == 'leased' then
  if token == arg.token then return {'granted', fence, holders, '', moved_from or '', generation, ''} end
  local remaining = tonumber(until_) - now
  if remaining > 0 then return {'busy', tostring(math.ceil(remaining)), '', '', '', generation, ''} end
  if known[11] ~= fence then crashes = crashes + 1 end  -- or its holder has said that it lives (lapse.lua)
else
  holders = ''
end
if tonumber(arg.replays) > tonumber(replays or '0') then crashes = 0 end
if crashes >= tonumber(arg.crash_limit) then return {'poison', tostring(crashes), '', '', '', generation, ''} end

-- It begins with the time, so that it grows even where the key was forgotten in between: a run remembers it longer
local granted = digits(math.max(tonumber(fence or '0') + 1, now))
local fenced = holders
if not string.find('\n' .. holders .. '\n', '\n' .. arg.holder .. '\n', 1, true) then
  holders = holders == '' and arg.holder or holders .. '\n' .. arg.holder
end
redis.call('HSET', key.outcome, 'content', arg.content, 'state', 'leased', 'fence', granted, 'owner', arg.owner,
  'until', digits(now + tonumber(arg.lease)), 'holders', holders, 'crashes', crashes, 'epoch', arg.replays, 'token', arg.token)
local before = (state == 'leased' and (moved and content or moved_from)) or ''
if before ~= '' then redis.call('HSET', key.outcome, 'moved', before)
elseif moved_from then redis.call('HDEL', key.outcome, 'moved') end
keep_outcome()
return {'granted', granted, fenced, '', before, generation, ''}
