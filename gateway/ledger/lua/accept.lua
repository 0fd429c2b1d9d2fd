-- accept.lua: go on with a journal that has lost entries, on somebody's word: marks up to now are void.
--
-- Atomic: all of it happens or none of it. One slot: every key carries {tenant}.
-- KEYS[1]  operation  hash    what was done under the operation's id
-- KEYS[2]  journal    stream  append only
-- KEYS[3]  register   zset    place of a balance -> ms until which it is kept
-- KEYS[4]  accepted   hash    covers, entry: up to which mark a loss was accepted, and the entry that says so
-- ARGV[1]  operation id       unique to one acceptance; safe to send again
-- ARGV[2]  mark               a mark that shall be void, should it be later than this store's clock ('' none)
-- ARGV[3]  remembered         ms the operation is remembered
-- ARGV[4]  actor              who
-- ARGV[5]  reason             why
-- Returns  {'done', entry}            accepted by this call
--          {'known', op, entry}       this operation id was here before; nothing was written
-- Clock    the server's TIME, for the journal only.
-- Promise  idempotent by operation id; no balance moves; what is accepted only ever grows.

local known = redis.call('HMGET', KEYS[1], 'op', 'entry')
if known[1] then
  return {'known', known[1], known[2] or ''}
end
local remembered = whole(ARGV[3], 'remembered')
local covers = redis.call('HGET', KEYS[4], 'covers') or '0-0'
if ARGV[2] ~= '' and reaches(ARGV[2], covers) then
  covers = ARGV[2]
end
redis.call('XLEN', KEYS[2])
redis.call('ZCARD', KEYS[3])

local entry = redis.call('XADD', KEYS[2], '*', 'op', 'accept', 'id', ARGV[1], 'amount', '0', 'budgets', '',
  'actor', ARGV[4], 'reason', ARGV[5])
redis.call('HSET', KEYS[4], 'covers', reaches(entry, covers) and entry or covers, 'entry', entry)
-- No place: from here on the register is there, also while the journal tells of no balance.
redis.call('ZADD', KEYS[3], '+inf', 'journal')
redis.call('HSET', KEYS[1], 'op', 'accept', 'entry', entry)
redis.call('PEXPIRE', KEYS[1], digits(remembered))
return {'done', entry}
