-- settle.lua: end a hold at what the call really cost; correct one that expired meanwhile.
--
-- Atomic: all of it happens or none of it. One slot: every key carries {tenant}.
-- KEYS[1]  record    hash    the hold itself
-- KEYS[2]  open      zset    hold id -> deadline
-- KEYS[3]  journal   stream  append only
-- KEYS[4…] balances  hash    spent, held               the windows that admitted the hold, in its own order
-- ARGV[1]  hold id
-- ARGV[2]  charged           millicredits; may be more than was held: it is booked in full
-- ARGV[3]  flag              confirmed | unconfirmed | uncertain
-- ARGV[4]  budgets           must equal the record's own; guards against wrong keys
-- ARGV[5]  kept              ms the record is remembered after its end
-- Returns  {'settled'}                        booked by this call
--          {'known', state, charged, flag}    it had ended before; remembered for longer
--          {'unknown'}                        no such hold; nothing was written
-- Clock    the server's TIME, for the journal only.
-- Promise  a hold moves `spent` once, and once more only if it had expired: then to the true amount.

local record = redis.call('HMGET', KEYS[1], 'state', 'amount', 'budgets', 'charged', 'flag', 'path')
local state = record[1]
if not state then
  return {'unknown'}
end
if state ~= 'open' and state ~= 'expired' then
  vouch_ended(KEYS[1], ARGV[5])
  return {'known', state, record[4] or '0', record[5] or 'confirmed'}
end
if record[3] ~= ARGV[4] then
  error('POISONED budgets')
end

local amount, charged = whole(record[2], 'amount'), whole(ARGV[2], 'charged')
local kept = whole(ARGV[5], 'kept')
for i = 4, #KEYS do
  local spent, held = balance(KEYS[i])
  if (state == 'open' and held < amount) or (state == 'expired' and spent < amount) then
    error('POISONED balance')
  end
end

sound(KEYS[2], KEYS[3])

redis.call('ZREM', KEYS[2], ARGV[1])
for i = 4, #KEYS do
  if state == 'open' then
    redis.call('HINCRBY', KEYS[i], 'held', digits(-amount))
    redis.call('HINCRBY', KEYS[i], 'spent', digits(charged))
  else
    redis.call('HINCRBY', KEYS[i], 'spent', digits(charged - amount))
  end
end
redis.call('HSET', KEYS[1], 'state', 'settled', 'charged', digits(charged), 'flag', ARGV[3])
redis.call('PEXPIRE', KEYS[1], digits(kept))
redis.call('XADD', KEYS[3], '*', 'op', state == 'open' and 'settle' or 'correct', 'id', ARGV[1],
  'amount', digits(amount), 'charged', digits(charged), 'flag', ARGV[3], 'path', record[6] or '',
  'budgets', ARGV[4])
return {'settled'}
