-- repair.lua: set balances to what the journal says, and name in the register what it speaks of, on an operator's word.
--
-- Atomic: all of it happens or none of it. One slot: every key carries {tenant}.
-- KEYS[1]  operation  hash    what was done under the operation's id
-- KEYS[2]  journal    stream  append only
-- KEYS[3]  register   zset    place of a balance -> ms until which it is kept
-- KEYS[4…] balances   hash    spent, held, granted: those to be set
-- ARGV[1]  operation id       unique to one repair; safe to send again
-- ARGV[2]  last               id of the entry up to which the journal was counted
-- ARGV[3]  named              'name|start|kept …': all the register shall name, kept in ms or 'inf'
-- ARGV[4]  remembered         ms the operation is remembered
-- ARGV[5]  changed            what is changed, for the journal
-- ARGV[6]  actor              who
-- ARGV[7]  reason             why
-- ARGV[8…] per balance        spent, held, granted, kept in ms or 'inf'; spent '' for one the journal does not tell of
-- Returns  {'done', entry}            repaired by this call
--          {'known', op}              this operation id was here before; nothing was written
--          {'moved'}                  the journal has gone on since it was counted; nothing was written
-- Clock    the server's TIME, for the journal only.
-- Promise  idempotent by operation id; afterwards a recount of the journal gives every balance set.

local known = redis.call('HGET', KEYS[1], 'op')
if known then
  return {'known', known}
end
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
if (last and last[1] or '0-0') ~= ARGV[2] then
  return {'moved'}
end
local remembered, numbers = whole(ARGV[4], 'remembered'), {}
for i = 4, #KEYS do
  local at = 8 + (i - 4) * 4
  if ARGV[at] ~= '' then
    numbers[i] = {digits(whole(ARGV[at], 'spent')), digits(whole(ARGV[at + 1], 'held'))}
  end
end

for i = 4, #KEYS do
  local at = 8 + (i - 4) * 4
  redis.call('DEL', KEYS[i])
  if numbers[i] then
    redis.call('HSET', KEYS[i], 'spent', numbers[i][1], 'held', numbers[i][2], 'granted', ARGV[at + 2])
    if ARGV[at + 3] ~= 'inf' then
      redis.call('PEXPIREAT', KEYS[i], ARGV[at + 3])
    end
  end
end
redis.call('DEL', KEYS[3])
redis.call('ZADD', KEYS[3], '+inf', 'journal')
for part in string.gmatch(ARGV[3], '[^ ]+') do
  local name, kept = string.match(part, '^([^|]+|%d+)|(%w+)$')
  redis.call('ZADD', KEYS[3], kept == 'inf' and '+inf' or kept, name)
end
local entry = redis.call('XADD', KEYS[2], '*', 'op', 'repair', 'id', ARGV[1], 'amount', '0', 'budgets', '',
  'changed', ARGV[5], 'actor', ARGV[6], 'reason', ARGV[7])
redis.call('HSET', KEYS[1], 'op', 'repair')
redis.call('PEXPIRE', KEYS[1], digits(remembered))
return {'done', entry}
