-- Settle a step of a run, or find again what follows one that is settled. Its parts are in settle_run/: settle, join, send, end.
-- KEYS: run, history, outstanding
-- ARGV: step, run_id, fence, record, digest (of the record), part (the record as it goes into a join),
--       edit (the number of the edit that was settled, '': whichever), undo (what undoes the step, as JSON, or ''),
--       joins (JSON; innermost first), ends ('1': the run ends here), again ('1': only find), sends (a line for each next message:
--       'step agent contract/version'), entry, late (the entry for where another outcome stands),
--       quiet (that for where nothing is passed on; '': the same), now (ms), ttl (ms), result_ttl (ms)
-- Gives {verdict, joined data or '', joined schemas or '', 'complete', 'waiting', or for a late one 'fenced' or '',
--        for a waiting one at which of the joins, from 1; for a complete one '0' and which fallback it is}
local verdict, reply = 'again', nil
if arg.again ~= '1' then verdict, reply = settle() end
if reply then return reply end
if stays then return settle_cancelled() end

local joins = cjson.decode(arg.joins)
for level, join in ipairs(joins) do
  local complete
  if join.one then complete = is_first(join) else complete = is_complete(join) end
  if not complete then return {verdict, '', '', 'waiting', tostring(level)} end
end
local joined = #joins > 0
send(joined)
if arg.ends == '1' then
  if undoing then end_undoing() else end_run() end
end
if joined then return {verdict, data, schemas, 'complete', '0', mark} end
return {verdict, '', '', 'complete'}
