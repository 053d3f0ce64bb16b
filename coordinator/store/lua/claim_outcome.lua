-- Take the lease on an idempotency key. KEYS: outcome.
-- ARGV: content, owner, place (run|step), lease (ms), ttl (ms), epoch, crash limit, token (this claim; it may be repeated),
--       what a person's edit has taken the place of (contents, separated by spaces)
-- Gives {verdict, number, holders to shut out, record, the content that those holders may have had, if it is another}
local outcome = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HMGET', outcome, 'content', 'state', 'fence', 'until', 'holders', 'crashes', 'epoch', 'record', 'token', 'moved')
local content, state, fence = known[1], known[2], tonumber(known[3] or '0')
local crashes, holders = tonumber(known[6] or '0'), known[5] or ''
local moved = content and content ~= ARGV[1] and string.find(' ' .. ARGV[9] .. ' ', ' ' .. content .. ' ', 1, true)
if content and content ~= ARGV[1] and (state == 'done' or not moved) then return {'conflict', '0', holders, '', ''} end
if state == 'done' then return {'done', known[3], '', known[8], ''} end
if state == 'leased' then
  if known[9] == ARGV[8] then return {'granted', known[3], holders, '', known[10] or ''} end
  local remaining = tonumber(known[4]) - now
  if remaining > 0 then return {'busy', tostring(math.ceil(remaining)), '', '', ''} end
  crashes = crashes + 1
else
  holders = ''
end
local epoch = tonumber(ARGV[6])
if epoch > tonumber(known[7] or '0') then crashes = 0 end
if crashes >= tonumber(ARGV[7]) then
  return {'poison', tostring(crashes), '', '', ''}
end
-- It begins with the time, so that it grows even where the key was forgotten in between: a run remembers it longer
fence = math.max(fence + 1, now)
local fenced = holders
if not string.find('\n' .. holders .. '\n', '\n' .. ARGV[3] .. '\n', 1, true) then
  holders = (holders == '') and ARGV[3] or (holders .. '\n' .. ARGV[3])
end
redis.call('HSET', outcome, 'content', ARGV[1], 'state', 'leased', 'fence', string.format('%.0f', fence), 'owner', ARGV[2],
  'until', now + tonumber(ARGV[4]), 'holders', holders, 'crashes', crashes, 'epoch', epoch, 'token', ARGV[8])
local before = (state == 'leased' and (moved and content or known[10])) or ''
if before ~= '' then redis.call('HSET', outcome, 'moved', before)
elseif known[10] then redis.call('HDEL', outcome, 'moved') end
redis.call('PEXPIRE', outcome, ARGV[5])
return {'granted', string.format('%.0f', fence), fenced, '', before}
