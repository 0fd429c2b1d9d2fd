-- adjust.lua: give back of what an ended hold was charged, or book another charge for it, on an operator's word.
--
-- Atomic: all of it happens or none of it. One slot: every key carries {tenant}.
-- KEYS[1]  record     hash    the hold itself
-- KEYS[2]  operation  hash    what was done under the operation's id
-- KEYS[3]  journal    stream  append only
-- KEYS[4]  register   zset    place of a balance -> ms until which it is kept
-- KEYS[5…] balances   hash    spent, held               the windows that admitted the hold, in its own order
-- ARGV[1]  hold id
-- ARGV[2]  operation id      unique to one adjustment; safe to send again
-- ARGV[3]  op                refund | adjust
-- ARGV[4]  amount            refund: millicredits to give back ('' for all); adjust: millicredits to be booked
-- ARGV[5]  budgets           must equal the record's own; guards against wrong keys
-- ARGV[6]  entry             id of the hold's last journal entry, asked when its record is forgotten ('' when unknown)
-- ARGV[7]  kept              ms the record is remembered from now on, and after its deadline
-- ARGV[8]  remembered        ms the operation is remembered
-- ARGV[9]  actor             who
-- ARGV[10] reason            why
-- ARGV[11…] forgotten        per budget: ms from when on the store may have forgotten the balance ('' never)
-- Returns  {'done', before, after}                booked by this call
--          {'known', op, of, asked, before, after}   this operation id was here before; nothing was changed
--          {'unknown'} {'open'} {'too_much'}      nothing was written
--          {'missing'}                            a balance is gone that must be there; nothing was written
-- Clock    the server's TIME, for what may be forgotten and for the journal.
-- Promise  idempotent by operation id; what is booked for a hold is never negative; the hold is settled after it.

local now = now_ms()

local known = redis.call('HMGET', KEYS[2], 'op', 'of', 'asked', 'before', 'after')
if known[1] then
  vouch(KEYS[2], 'op', known[1])
  return {'known', known[1], known[2] or '', known[3] or '', known[4] or '0', known[5] or '0'}
end

local record = redis.call('HMGET', KEYS[1], 'state', 'charged', 'budgets', 'path', 'deadline')
local state, booked, budgets, path = record[1], record[2], record[3], record[4]
if not state and ARGV[6] ~= '' then
  local found = redis.call('XRANGE', KEYS[3], ARGV[6], ARGV[6])[1]
  local entry = {}
  for i = 1, found and #found[2] or 0, 2 do
    entry[found[2][i]] = found[2][i + 1]
  end
  if (entry.of or entry.id) == ARGV[1] then
    state = entry.op == 'hold' and 'open' or 'settled'
    booked, budgets, path = entry.charged, entry.budgets, entry.path
  end
end
if not state or state == 'void' then
  return {'unknown'}
end
if state == 'open' then
  return {'open'}
end
if budgets ~= ARGV[5] then
  error('POISONED budgets')
end

local before = whole(booked, 'charged')
local amount, after = before, before
if ARGV[3] == 'refund' then
  amount = ARGV[4] == '' and before or whole(ARGV[4], 'amount')
  if amount == 0 or amount > before then
    return {'too_much'}
  end
  after = before - amount
else
  after = whole(ARGV[4], 'amount')
end
local kept, remembered = whole(ARGV[7], 'kept'), whole(ARGV[8], 'remembered')
local deadline = whole(record[5] or '0', 'deadline')

local moved = {}
for i = 5, #KEYS do
  local forgotten = ARGV[11 + i - 5]
  if forgotten == '' or now < whole(forgotten, 'forgotten') then
    local spent, _, _, absent = balance(KEYS[i])
    if absent and missing(KEYS[4], KEYS[3], place(budgets, i - 4), now) then
      return {'missing'}
    end
    if spent < before then
      error('POISONED balance')
    end
    moved[i] = true
  end
end

redis.call('XLEN', KEYS[3])

for i = 5, #KEYS do
  if moved[i] then
    redis.call('HINCRBY', KEYS[i], 'spent', digits(after - before))
  end
end
redis.call('HSET', KEYS[1], 'state', 'settled', 'charged', digits(after), 'flag', 'confirmed',
  'budgets', ARGV[5], 'path', path or '')
redis.call('PEXPIREAT', KEYS[1], digits(math.max(now, deadline) + kept))
redis.call('HSET', KEYS[2], 'op', ARGV[3], 'of', ARGV[1], 'asked', ARGV[4],
  'before', digits(before), 'after', digits(after))
redis.call('PEXPIRE', KEYS[2], digits(remembered))
redis.call('XADD', KEYS[3], '*', 'op', ARGV[3], 'id', ARGV[2], 'of', ARGV[1], 'amount', digits(amount),
  'charged', digits(after), 'flag', 'confirmed', 'path', path or '', 'budgets', ARGV[5],
  'actor', ARGV[9], 'reason', ARGV[10])
return {'done', digits(before), digits(after)}
