-- What is sent next is outstanding, unless it has its outcome already. A message of a join stands for each of its parts too.
local function send(joined)
  local of = joined and refs() or ''
  if of ~= '' then of = ',' .. of end
  for line in lines(arg.sends) do
    local next_step, what = string.match(line, '^(%S+) (.*)$')
    if redis.call('HEXISTS', key.run, SETTLED .. next_step) == 0 then open_step(next_step, now, what .. of) end
  end
end
