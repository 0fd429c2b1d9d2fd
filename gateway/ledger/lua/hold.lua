-- hold.lua: set credits aside for one call, if every budget on its path can bear them.
--
-- Atomic: all of it happens or none of it. One slot: every key carries {tenant}.
-- KEYS[1]  record    hash    the hold itself
-- KEYS[2]  open      zset    hold id -> deadline, ms since the epoch
-- KEYS[3]  journal   stream  append only
-- KEYS[4]  register  zset    place of a balance -> ms until which it is kept
-- KEYS[5…] balances  hash    spent, held, granted      millicredits, whole numbers; granted as common.lua reads it
-- then     pace      string  us since the epoch at which the tenant's calls are even; only with an interval
-- the last once      hash    what is known of the call under an idempotency key; only with a fingerprint
-- ARGV[1]  hold id           unique to one call; safe to send again
-- ARGV[2]  amount            millicredits
-- ARGV[3]  ttl               ms from now until the hold expires
-- ARGV[4]  path              tenant/team/user, for the journal
-- ARGV[5]  budgets           'name|start|end …' in the order of KEYS[5…]; kept in the record
-- ARGV[6]  retention         ms a balance is kept after its window ended
-- ARGV[7]  mark              id of the newest entry the caller has seen ('' none)
-- ARGV[8]  fingerprint       of a call that is to be made once, else ''
-- ARGV[9]  once kept         ms the idempotency key is remembered from now on
-- ARGV[10] limits            'calls in flight|interval|burst' of the tenant ('' none, also for each); interval in us
-- ARGV[11…] per budget       limit, start ms, end ms ('' when it never ends)
-- Returns  {'held', entry, now, deadline, spent, held, granted, …}   balances with this hold in them; grants not lapsed
--          {'exhausted', '', now, spent, held, granted, …}   some budget cannot bear it; nothing was written
--          {'window', '', now}                      a window given is not the one of now; nothing was written
--          {'known', '', now, state, amount, deadline, budgets}   this id was here before; nothing was changed
--          {'other', '', now}                       the idempotency key is another call's; nothing was written
--          {'taken', '', now, hold id}              the same call was here before, held under this id; likewise
--          {'limited', '', now, 'calls_in_flight' | 'calls_per_second', us until the next call may begin, or 0}
--                                                   a limit on calls is reached; nothing was written
--          {'regressed', '', now}                   the journal lacks the mark; nothing was written
--          {'missing', '', now}                     a balance is gone that must be there; nothing was written
-- Clock    the server's TIME. A caller's clock never decides about money.
-- Promise  spent + held <= limit + live grants in every budget whenever it answers 'held'; the entry comes after the
--          mark in one journal; open holds never pass the limit on calls in flight, and only a hold uses up pace.

local now, now_us = now_ms()

if not holds(KEYS[3], ARGV[7]) then
  return {'regressed', '', now}
end
local record = redis.call('HMGET', KEYS[1], 'state', 'amount', 'deadline', 'budgets')
if record[1] then
  vouch(KEYS[1], 'state', record[1])
  return {'known', '', now, record[1], record[2] or '0', record[3] or '0', record[4] or ''}
end

local last, once = #KEYS, ARGV[8] ~= ''
if once then
  last = last - 1
  local first = redis.call('HMGET', KEYS[#KEYS], 'fingerprint', 'hold')
  if first[1] then
    return first[1] == ARGV[8] and {'taken', '', now, first[2] or ''} or {'other', '', now}
  end
end

-- Before any balance is read: what is refused here shall cost little. A hold past its deadline has as good as ended.
local even
if ARGV[10] ~= '' then
  local flight, interval, burst = string.match(ARGV[10], '^(%d*)|(%d*)|(%d*)$')
  if flight ~= '' then
    local open = redis.call('ZCOUNT', KEYS[2], '(' .. digits(now), '+inf')
    if open >= whole(flight, 'limits') then
      return {'limited', '', now, 'calls_in_flight', 0}
    end
  end
  if interval ~= '' then
    last = last - 1
    interval, burst = whole(interval, 'limits'), whole(burst, 'limits')
    even = math.max(whole(redis.call('GET', KEYS[last + 1]) or '0', 'pace', 16), now_us)
    if even > now_us + burst * interval then
      -- Further ahead than these limits can lead: others were in force, or the clock was set back.
      even = now_us + (burst - 1) * interval
    end
    local wait = even - (burst - 1) * interval - now_us
    if wait > 0 then
      return {'limited', '', now, 'calls_per_second', wait}
    end
    even = even + interval
  end
end

local amount = whole(ARGV[2], 'amount')
local deadline = now + whole(ARGV[3], 'ttl')
local retention, remembered = whole(ARGV[6], 'retention'), whole(ARGV[9], 'once kept')
local answer = {'held', '', now, digits(deadline)}
local refused, fresh = false, {}

for i = 5, last do
  local at = 11 + (i - 5) * 3
  local limit, starts = whole(ARGV[at], 'limit'), whole(ARGV[at + 1], 'start')
  if now < starts or (ARGV[at + 2] ~= '' and now >= whole(ARGV[at + 2], 'end')) then
    return {'window', '', now}
  end
  local spent, held, written, absent = balance(KEYS[i])
  if absent then
    fresh[i] = place(ARGV[5], i - 4)
    if missing(KEYS[4], KEYS[3], fresh[i], now) then
      return {'missing', '', now}
    end
  end
  local _, granted = live(written, now)
  refused = refused or spent + held + amount > limit + granted
  answer[#answer + 1] = spent
  answer[#answer + 1] = held + amount
  answer[#answer + 1] = granted
end

sound(KEYS[2], KEYS[3])
if refused then
  local facts = {'exhausted', '', now}
  for i = 5, #answer, 3 do
    facts[#facts + 1] = answer[i]
    facts[#facts + 1] = answer[i + 1] - amount
    facts[#facts + 1] = answer[i + 2]
  end
  return facts
end

for i = 5, last do
  redis.call('HINCRBY', KEYS[i], 'held', digits(amount))
  if fresh[i] then
    enter(KEYS[4], KEYS[i], fresh[i], ARGV[11 + (i - 5) * 3 + 2], retention, now)
  end
end
redis.call('HSET', KEYS[1], 'state', 'open', 'amount', digits(amount), 'deadline', digits(deadline),
  'budgets', ARGV[5], 'path', ARGV[4])
if even then
  redis.call('SET', KEYS[last + 1], digits(even), 'PX', digits(math.ceil((even - now_us) / 1000)))
end
if once then
  redis.call('HSET', KEYS[#KEYS], 'fingerprint', ARGV[8], 'hold', ARGV[1])
  redis.call('PEXPIRE', KEYS[#KEYS], digits(remembered))
end
redis.call('ZADD', KEYS[2], digits(deadline), ARGV[1])
answer[2] = redis.call('XADD', KEYS[3], '*', 'op', 'hold', 'id', ARGV[1], 'amount', digits(amount),
  'path', ARGV[4], 'budgets', ARGV[5])
return answer
