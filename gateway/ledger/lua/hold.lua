-- hold.lua: set credits aside for one call, if every budget on its path can bear them.
--
-- Atomic: all of it happens or none of it. One slot: every key carries {tenant}.
-- KEYS[1]  record    hash    the hold itself
-- KEYS[2]  open      zset    hold id -> deadline, ms since the epoch
-- KEYS[3]  journal   stream  append only
-- KEYS[4…] balances  hash    spent, held, granted      millicredits, whole numbers; granted as common.lua reads it
-- ARGV[1]  hold id           unique to one call; safe to send again
-- ARGV[2]  amount            millicredits
-- ARGV[3]  ttl               ms from now until the hold expires
-- ARGV[4]  path              tenant/team/user, for the journal
-- ARGV[5]  budgets           'name|start|end …' in the order of KEYS[4…]; kept in the record
-- ARGV[6]  retention         ms a balance is kept after its window ended
-- ARGV[7…] per budget        limit, start ms, end ms ('' when it never ends)
-- Returns  {'held', now, deadline, spent, held, granted, …}   balances with this hold in them; grants not lapsed
--          {'exhausted', now, spent, held, granted, …}        some budget cannot bear it; nothing was written
--          {'window', now}                           a window given is not the one of now; nothing was written
--          {'known', now, state, amount, deadline, budgets}   this id was here before; nothing was changed
-- Clock    the server's TIME. A caller's clock never decides about money.
-- Promise  spent + held <= limit + live grants in every budget whenever it answers 'held'.

local now = now_ms()

local record = redis.call('HMGET', KEYS[1], 'state', 'amount', 'deadline', 'budgets')
if record[1] then
  vouch(KEYS[1], 'state', record[1])
  return {'known', now, record[1], record[2] or '0', record[3] or '0', record[4] or ''}
end

local amount = whole(ARGV[2], 'amount')
local deadline = now + whole(ARGV[3], 'ttl')
local retention = whole(ARGV[6], 'retention')
local answer = {'held', now, digits(deadline)}
local refused = false

for i = 4, #KEYS do
  local at = 7 + (i - 4) * 3
  local limit, starts = whole(ARGV[at], 'limit'), whole(ARGV[at + 1], 'start')
  if now < starts or (ARGV[at + 2] ~= '' and now >= whole(ARGV[at + 2], 'end')) then
    return {'window', now}
  end
  local spent, held, written = balance(KEYS[i])
  local _, granted = live(written, now)
  refused = refused or spent + held + amount > limit + granted
  answer[#answer + 1] = spent
  answer[#answer + 1] = held + amount
  answer[#answer + 1] = granted
end

sound(KEYS[2], KEYS[3])
if refused then
  local facts = {'exhausted', now}
  for i = 4, #answer, 3 do
    facts[#facts + 1] = answer[i]
    facts[#facts + 1] = answer[i + 1] - amount
    facts[#facts + 1] = answer[i + 2]
  end
  return facts
end

for i = 4, #KEYS do
  local fresh = redis.call('EXISTS', KEYS[i]) == 0
  redis.call('HINCRBY', KEYS[i], 'held', digits(amount))
  local ends = ARGV[7 + (i - 4) * 3 + 2]
  if fresh and ends ~= '' then
    redis.call('PEXPIREAT', KEYS[i], digits(tonumber(ends) + retention))
  end
end
redis.call('HSET', KEYS[1], 'state', 'open', 'amount', digits(amount), 'deadline', digits(deadline),
  'budgets', ARGV[5], 'path', ARGV[4])
redis.call('ZADD', KEYS[2], digits(deadline), ARGV[1])
redis.call('XADD', KEYS[3], '*', 'op', 'hold', 'id', ARGV[1], 'amount', digits(amount),
  'path', ARGV[4], 'budgets', ARGV[5])
return answer
