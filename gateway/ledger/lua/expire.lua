-- expire.lua: end a hold past its deadline: nobody knows what it cost, so the held amount is booked.
--
-- Atomic: all of it happens or none of it. One slot: every key carries {tenant}.
-- KEYS[1]  record    hash    the hold itself
-- KEYS[2]  open      zset    hold id -> deadline
-- KEYS[3]  journal   stream  append only
-- KEYS[4]  register  zset    place of a balance -> ms until which it is kept
-- KEYS[5…] balances  hash    spent, held
-- ARGV[1]  hold id
-- ARGV[2]  budgets           must equal the record's own
-- ARGV[3]  kept              ms the record is remembered, and can be corrected, after its end
-- Returns  {'expired', entry, amount}   booked at the held amount, uncertain
--          {'early', ''}         not past its deadline
--          {'known', ''}         not open, or not there; it is taken off the list of open holds
--          {'missing', ''}       a balance is gone that must be there; nothing was written
-- Clock    the server's TIME decides whether the deadline has passed.
-- Promise  idempotent: of settle and expire, in any order and number, one ends the hold.

local record = redis.call('HMGET', KEYS[1], 'state', 'amount', 'deadline', 'budgets', 'path')
if record[1] ~= 'open' then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return {'known', ''}
end
local now = now_ms()
if now < whole(record[3], 'deadline') then
  return {'early', ''}
end
if record[4] ~= ARGV[2] then
  error('POISONED budgets')
end

local amount, kept = whole(record[2], 'amount'), whole(ARGV[3], 'kept')
for i = 5, #KEYS do
  local _, held, _, absent = balance(KEYS[i])
  if absent and missing(KEYS[4], KEYS[3], place(ARGV[2], i - 4), now) then
    return {'missing', ''}
  end
  if held < amount then
    error('POISONED balance')
  end
end

sound(KEYS[2], KEYS[3])

redis.call('ZREM', KEYS[2], ARGV[1])
for i = 5, #KEYS do
  redis.call('HINCRBY', KEYS[i], 'held', digits(-amount))
  redis.call('HINCRBY', KEYS[i], 'spent', digits(amount))
end
redis.call('HSET', KEYS[1], 'state', 'expired', 'charged', digits(amount), 'flag', 'uncertain')
redis.call('PEXPIRE', KEYS[1], digits(kept))
local entry = redis.call('XADD', KEYS[3], '*', 'op', 'expire', 'id', ARGV[1], 'amount', digits(amount),
  'charged', digits(amount), 'flag', 'uncertain', 'path', record[5] or '', 'budgets', ARGV[2])
return {'expired', entry, digits(amount)}
