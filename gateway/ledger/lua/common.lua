-- common.lua: stands before every script of this folder; the loader joins them.
--
-- Everything is checked before anything is written: an error half-way through a script keeps its earlier writes.
-- A store over its memory limit refuses a script whose first write may need memory. So `hold` is refused, and what
-- ends a hold begins with a write that frees: it must always be possible.
-- Amounts are whole millicredits below 10^15, far under 2^53, up to which Lua counts exactly.

local function whole(text, what, longest)
  if type(text) ~= 'string' or #text > (longest or 15) or not string.match(text, '^%d+$') then
    error('POISONED ' .. what)
  end
  return tonumber(text)
end

-- Milliseconds, and the same instant in microseconds.
local function now_ms()
  local time = redis.call('TIME')
  local seconds, micros = tonumber(time[1]), tonumber(time[2])
  return seconds * 1000 + math.floor(micros / 1000), seconds * 1000000 + micros
end

local function digits(number)
  return string.format('%d', number)
end

-- spent and held of one balance, its grants as written, and whether it is absent: then it counts as zero, unless
-- `missing` says that it must be there.
local function balance(key)
  local found = redis.call('HMGET', key, 'spent', 'held', 'granted')
  local absent = not (found[1] or found[2] or found[3])
  return whole(found[1] or '0', 'spent'), whole(found[2] or '0', 'held'), found[3] or '', absent
end

-- The number-th of these budgets ('name|start|end …'): its place 'name|start', and its end ('' when it never ends).
local function place(budgets, number)
  for part in string.gmatch(budgets, '[^ ]+') do
    number = number - 1
    if number == 0 then
      local name, ends = string.match(part, '^([^|]+|%d+)|(%d*)$')
      if name then
        return name, ends
      end
    end
  end
  error('POISONED budgets')
end

-- The register names every balance: place -> ms until which it is kept. So what is absent and named was lost.
-- Where the register itself is gone, and the journal is not, nothing absent can be believed to be new.
-- Asked only for a balance that is absent: where all are there, it costs nothing.
local function missing(register, journal, name, now)
  local kept = redis.call('ZSCORE', register, name)
  if kept then
    return kept == 'inf' or tonumber(kept) > now
  end
  return redis.call('ZCARD', register) == 0 and redis.call('XLEN', journal) > 0
end

-- Names a balance that was just written for the first time, and sets how long it is kept; drops names kept long enough.
local function enter(register, key, name, ends, retention, now)
  redis.call('ZREMRANGEBYSCORE', register, '-inf', digits(now))
  local kept = '+inf'
  if ends ~= '' then
    kept = digits(tonumber(ends) + retention)
    redis.call('PEXPIREAT', key, kept)
  end
  redis.call('ZADD', register, kept, name)
end

-- Whether the journal holds this entry; '' is no entry anybody asks for.
local function holds(journal, id)
  return id == '' or redis.call('XRANGE', journal, id, id)[1] ~= nil
end

-- Grants stand in a balance as 'amount|until …', until in ms, or empty for one that never lapses.
-- Returns those not lapsed as a list of {amount, until as written}, and their sum.
local function live(written, now)
  local list, sum = {}, 0
  for part in string.gmatch(written, '[^ ]+') do
    local amount, ends = string.match(part, '^(%d+)|(%d*)$')
    amount = whole(amount, 'granted')
    if ends == '' or now < whole(ends, 'granted') then
      list[#list + 1] = {amount, ends}
      sum = sum + amount
    end
  end
  return list, sum
end

-- Fails, before anything is written, where the open holds or the journal are not what they must be.
local function sound(open, journal)
  redis.call('ZCARD', open)
  redis.call('XLEN', journal)
end

-- Whether stream id `a` is `b` or comes after it.
local function reaches(a, b)
  local a_ms, a_n = string.match(a, '^(%d+)%-(%d+)$')
  local b_ms, b_n = string.match(b, '^(%d+)%-(%d+)$')
  a_ms, b_ms = whole(a_ms, 'id'), whole(b_ms, 'id')
  return a_ms > b_ms or (a_ms == b_ms and whole(a_n, 'id') >= whole(b_n, 'id'))
end

-- Before an answer that tells of an earlier write: writes its record once more as it is. A connection that waits for
-- replicas waits for what it wrote itself (Redis 7.2 and later), and the earlier write may have been another's.
-- An ended hold's record is only remembered for longer, which needs no memory.
local function vouch(key, field, value)
  redis.call('HSET', key, field, value)
end

local function vouch_ended(key, kept_until)
  redis.call('PEXPIREAT', key, digits(kept_until))
end
