-- Settle a step of a run, or find again what follows one that is settled. Its parts are in settle_run/, in this order:
-- parts, excess, settle, join, send, end.
-- KEYS: run, ended, history, outstanding
-- ARGV: step, flow, run_id, fence, record, digest (of the record), part (what goes into a join; '': the record),
--       edit (the number of the edit that was settled, '': whichever), known ('1': its key has that outcome),
--       undo (what undoes the step, as JSON, or ''), joins (JSON; innermost first),
--       most (octets that they may put together; 0: any number), body (the same in a message's body; 0: any number),
--       ends ('1': the run ends here),
--       left (of a step that undoes, the number of the one to be undone after it; otherwise ''),
--       again ('1': only find), sends (a line for each next message:
--       'step agent contract/version'), entry, late ('1': where another outcome stands, that is told, as of the kind `late`),
--       span (in which it arrives at the joins; ''),
--       quiet (the entry for where nothing is passed on; '': the same), ttl (ms), result_ttl (ms)
-- Gives {verdict, joined data or '', joined schemas or '', 'complete', 'waiting', or for a late one 'fenced' or '',
--        for a waiting one at which of the joins, from 1; for a complete one '0', which fallback it is, and the spans in which the parts have
--        arrived};
-- where a step is to be undone next {verdict, '', '', 'undo', what undoes it as JSON, its record, how many are to be undone after it};
-- or {'too-large', the octets of what a join would put together, '', ''}: then nothing was recorded
if forgotten then return tell_of_forgotten() end
local verdict, reply = 'again', nil
if arg.again ~= '1' then verdict, reply = settle() end
if reply then return reply end
if stays then return settle_cancelled() end
if arg.again == '1' then
  local octets = excess(joins)
  if octets then return {'too-large', tostring(octets), '', ''} end
end

for level, join in ipairs(joins) do
  local complete
  if join.one then complete = is_first(join) else complete = is_complete(join) end
  if not complete then
    if taken and not join.one then tell(arg.entry) end  -- where something was first further out, it is late, and that is told
    return {verdict, '', '', 'waiting', tostring(level)}
  end
end
if taken then tell(arg.entry) end
local joined = #joins > 0
send(joined)
if arg.ends == '1' then
  local following = undoing and arg.left ~= '' and undo_next()
  if following then return {verdict, '', '', following[1] and 'undo' or 'waiting', unpack(following)} end
  if undoing then end_undoing() else end_run() end
end
if joined then return {verdict, data, schemas, 'complete', '0', mark, table.concat(spans, ' ')} end
return {verdict, '', '', 'complete'}
