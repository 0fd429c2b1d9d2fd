-- grant.lua: raise the limit of one budget in its window of now, on an operator's word, until the grant lapses.
--
-- Atomic: all of it happens or none of it. One slot: every key carries {tenant}.
-- KEYS[1]  operation  hash    what was done under the operation's id
-- KEYS[2]  journal    stream  append only
-- KEYS[3]  register   zset    place of a balance -> ms until which it is kept
-- KEYS[4]  balance    hash    spent, held, granted      granted as common.lua reads it
-- ARGV[1]  operation id       unique to one grant; safe to send again
-- ARGV[2]  amount             millicredits
-- ARGV[3]  until              ms when it lapses ('' with the window)
-- ARGV[4]  budget             'name|start|end' of the window
-- ARGV[5]  name               the budget's
-- ARGV[6]  start              ms
-- ARGV[7]  end                ms ('' when it never ends)
-- ARGV[8]  retention          ms a balance is kept after its window ended
-- ARGV[9]  remembered         ms the operation is remembered after its grant lapsed
-- ARGV[10] most               how many ends of their own the grants of one balance may have
-- ARGV[11] actor              who
-- ARGV[12] reason             why
-- Returns  {'done', until}                        granted by this call
--          {'known', op, of, asked, until}        this operation id was here before; nothing was changed
--          {'window', now}                        the window given is not the one of now; nothing was written
--          {'nothing'} {'until'} {'full'}         nothing was written
--          {'missing'}                            the balance is gone and must be there; nothing was written
-- Clock    the server's TIME decides about window and lapse.
-- Promise  idempotent by operation id; what has lapsed is dropped, nothing else changes.

local now = now_ms()

local known = redis.call('HMGET', KEYS[1], 'op', 'of', 'asked', 'until')
if known[1] then
  vouch(KEYS[1], 'op', known[1])
  return {'known', known[1], known[2] or '', known[3] or '', known[4] or ''}
end

local amount, ends = whole(ARGV[2], 'amount'), ARGV[7]
if now < whole(ARGV[6], 'start') or (ends ~= '' and now >= whole(ends, 'end')) then
  return {'window', now}
end
if amount == 0 then
  return {'nothing'}
end
local lapses = ends
if ARGV[3] ~= '' then
  lapses = digits(whole(ARGV[3], 'until'))
  if now >= tonumber(lapses) or (ends ~= '' and tonumber(lapses) > tonumber(ends)) then
    return {'until'}
  end
end

local _, _, written, absent = balance(KEYS[4])
local name = place(ARGV[4], 1)
if absent and missing(KEYS[3], KEYS[2], name, now) then
  return {'missing'}
end
local list, found = live(written, now), false
for i = 1, #list do
  if list[i][2] == lapses then
    list[i][1], found = list[i][1] + amount, true
  end
end
if not found then
  list[#list + 1] = {amount, lapses}
end
if #list > whole(ARGV[10], 'most') then
  return {'full'}
end
local retention, remembered = whole(ARGV[8], 'retention'), whole(ARGV[9], 'remembered')
local words = {}
for i = 1, #list do
  words[i] = digits(list[i][1]) .. '|' .. list[i][2]
end
redis.call('XLEN', KEYS[2])

redis.call('HSET', KEYS[4], 'granted', table.concat(words, ' '))
if absent then
  enter(KEYS[3], KEYS[4], name, ends, retention, now)
end
redis.call('HSET', KEYS[1], 'op', 'grant', 'of', ARGV[5], 'asked', ARGV[2] .. '|' .. ARGV[3],
  'until', lapses, 'amount', ARGV[2], 'budget', ARGV[4])
if lapses ~= '' then
  redis.call('PEXPIREAT', KEYS[1], digits(tonumber(lapses) + remembered))
end
redis.call('XADD', KEYS[2], '*', 'op', 'grant', 'id', ARGV[1], 'amount', digits(amount), 'until', lapses,
  'budgets', ARGV[4], 'actor', ARGV[11], 'reason', ARGV[12])
return {'done', lapses}
