-- revoke.lua: take a live grant back, whole, on an operator's word.
--
-- Atomic: all of it happens or none of it. One slot: every key carries {tenant}.
-- KEYS[1]  operation  hash    what was done under the operation's id
-- KEYS[2]  grant      hash    what was done under the grant's id
-- KEYS[3]  journal    stream  append only
-- KEYS[4]  register   zset    place of a balance -> ms until which it is kept
-- KEYS[5]  balance    hash    spent, held, granted      granted as common.lua reads it
-- ARGV[1]  operation id       unique to this; safe to send again
-- ARGV[2]  grant's id
-- ARGV[3]  budget             'name|start|end'; must equal the grant's own; guards against the wrong key
-- ARGV[4]  remembered         ms the operation is remembered
-- ARGV[5]  actor              who
-- ARGV[6]  reason             why
-- Returns  {'done', amount, until, budget name}             taken back by this call
--          {'known', op, of, amount, until, budget name}    this operation id was here before; nothing was changed
--          {'lapsed'}                                       no live grant; nothing was written
--          {'missing'}                                      the balance is gone and must be there; nothing was written
-- Clock    the server's TIME decides what has lapsed.
-- Promise  idempotent by operation id; a grant is taken back once.

local now = now_ms()

local known = redis.call('HMGET', KEYS[1], 'op', 'of', 'amount', 'until', 'name')
if known[1] then
  vouch(KEYS[1], 'op', known[1])
  return {'known', known[1], known[2] or '', known[3] or '0', known[4] or '', known[5] or ''}
end

local grant = redis.call('HMGET', KEYS[2], 'op', 'amount', 'until', 'budget', 'revoked', 'of')
if grant[1] ~= 'grant' or grant[5] or (grant[3] ~= '' and now >= whole(grant[3], 'until')) then
  return {'lapsed'}
end
if grant[4] ~= ARGV[3] then
  error('POISONED budget')
end

local amount, remembered = whole(grant[2], 'amount'), whole(ARGV[4], 'remembered')
local _, _, written, absent = balance(KEYS[5])
if absent and missing(KEYS[4], KEYS[3], place(ARGV[3], 1), now) then
  return {'missing'}
end
local list, words, found = live(written, now), {}, false
for i = 1, #list do
  if list[i][2] == grant[3] and list[i][1] >= amount then
    list[i][1], found = list[i][1] - amount, true
  end
  if list[i][1] > 0 then
    words[#words + 1] = digits(list[i][1]) .. '|' .. list[i][2]
  end
end
if not found then
  error('POISONED granted')
end
redis.call('XLEN', KEYS[3])

redis.call('HSET', KEYS[5], 'granted', table.concat(words, ' '))
redis.call('HSET', KEYS[2], 'revoked', ARGV[1])
redis.call('HSET', KEYS[1], 'op', 'revoke', 'of', ARGV[2], 'amount', digits(amount), 'until', grant[3],
  'name', grant[6] or '')
redis.call('PEXPIRE', KEYS[1], digits(remembered))
redis.call('XADD', KEYS[3], '*', 'op', 'revoke', 'id', ARGV[1], 'of', ARGV[2], 'amount', digits(amount),
  'until', grant[3], 'budgets', ARGV[3], 'actor', ARGV[5], 'reason', ARGV[6])
return {'done', digits(amount), grant[3], grant[6] or ''}
