-- settle.lua: end a hold at what the call really cost; correct one that expired meanwhile; book one the store has lost.
--
-- Atomic: all of it happens or none of it. One slot: every key carries {tenant}.
-- KEYS[1]  record    hash    the hold itself
-- KEYS[2]  open      zset    hold id -> deadline
-- KEYS[3]  journal   stream  append only
-- KEYS[4]  register  zset    place of a balance -> ms until which it is kept
-- KEYS[5…] balances  hash    spent, held               the windows that admitted the hold, in its own order
-- the last once      hash    what is known of the call under an idempotency key; only with facts
-- ARGV[1]  hold id
-- ARGV[2]  charged           millicredits; may be more than was held: it is booked in full
-- ARGV[3]  flag              confirmed | unconfirmed | uncertain
-- ARGV[4]  budgets           must equal the record's own; guards against wrong keys
-- ARGV[5]  kept              ms the record is remembered after its end and its deadline
-- ARGV[6]  amount            millicredits that were held     \  what the record said,
-- ARGV[7]  deadline          ms; 0 when it is not known       > for a hold without one
-- ARGV[8]  path              tenant/team/user                /
-- ARGV[9]  retention         ms a balance is kept after its window ended
-- ARGV[10] mark              id of the newest entry the caller has seen ('' none)
-- ARGV[11] facts             kept with the idempotency key; 'free' gives the key back; '' when there is none
-- Returns  {'settled', entry, marked}         booked by this call; marked is 0 when the journal lacks the mark, else 1
--          {'recovered', entry, marked}       booked by this call for a hold the store had lost
--          {'known', '', state, charged, flag}   it had ended before; remembered for longer
--          {'unknown', ''}                    no such hold, or one older than records are kept; nothing was written
--          {'missing', ''}                    a balance is gone that must be there; nothing was written
-- Clock    the server's TIME, for how long a record is kept, and for the journal.
-- Promise  a hold moves `spent` once, and once more only if it had expired: then to the true amount.
--          The key's facts are written in the same step, and only while the key is this hold's.

local now = now_ms()

local record = redis.call('HMGET', KEYS[1], 'state', 'amount', 'budgets', 'charged', 'flag', 'path', 'deadline')
local state, path = record[1], record[6] or ''
if state and state ~= 'open' and state ~= 'expired' then
  vouch_ended(KEYS[1], math.max(now, whole(record[7] or '0', 'deadline')) + whole(ARGV[5], 'kept'))
  return {'known', '', state, record[4] or '0', record[5] or 'confirmed'}
end
if state and record[3] ~= ARGV[4] then
  error('POISONED budgets')
end

local charged, kept, retention = whole(ARGV[2], 'charged'), whole(ARGV[5], 'kept'), whole(ARGV[9], 'retention')
local amount = whole(state and (record[2] or '') or ARGV[6], 'amount')
local deadline = whole(state and (record[7] or '') or ARGV[7], 'deadline')
local op = state == 'open' and 'settle' or 'correct'
if not state then
  -- A record outlives its deadline by `kept`, whenever the hold ended: before that it can only have been lost.
  if now >= deadline + kept then
    return {'unknown', ''}
  end
  op, path = 'recover', ARGV[8]
end

local fresh, last = {}, ARGV[11] == '' and #KEYS or #KEYS - 1
for i = 5, last do
  local spent, held, _, absent = balance(KEYS[i])
  if absent then
    fresh[i] = {place(ARGV[4], i - 4)}
    if missing(KEYS[4], KEYS[3], fresh[i][1], now) then
      return {'missing', ''}
    end
  end
  if (state == 'open' and held < amount) or (state == 'expired' and spent < amount) then
    error('POISONED balance')
  end
end

sound(KEYS[2], KEYS[3])
local marked = holds(KEYS[3], ARGV[10]) and 1 or 0
local its_key = last < #KEYS and redis.call('HGET', KEYS[#KEYS], 'hold') == ARGV[1]

redis.call('ZREM', KEYS[2], ARGV[1])
for i = 5, last do
  if state == 'open' then
    redis.call('HINCRBY', KEYS[i], 'held', digits(-amount))
  end
  redis.call('HINCRBY', KEYS[i], 'spent', digits(state == 'expired' and charged - amount or charged))
  if fresh[i] then
    enter(KEYS[4], KEYS[i], fresh[i][1], fresh[i][2], retention, now)
  end
end
redis.call('HSET', KEYS[1], 'state', 'settled', 'amount', digits(amount), 'deadline', digits(deadline),
  'charged', digits(charged), 'flag', ARGV[3], 'budgets', ARGV[4], 'path', path)
redis.call('PEXPIREAT', KEYS[1], digits(math.max(now, deadline) + kept))
if its_key and ARGV[11] == 'free' then
  redis.call('DEL', KEYS[#KEYS])
elseif its_key then
  redis.call('HSET', KEYS[#KEYS], 'facts', ARGV[11])
end
local entry = redis.call('XADD', KEYS[3], '*', 'op', op, 'id', ARGV[1], 'amount', digits(amount),
  'charged', digits(charged), 'flag', ARGV[3], 'path', path, 'budgets', ARGV[4])
return {op == 'recover' and 'recovered' or 'settled', entry, marked}
