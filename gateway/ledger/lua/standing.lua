-- standing.lua: what becomes of a mark that the journal may lack.
--
-- KEYS[1]  journal   stream
-- KEYS[2]  accepted  hash    covers, entry: up to which mark a loss was accepted, and the entry that says so
-- KEYS[3]  trimmed   string  id of the last entry that was trimmed
-- ARGV[1]  mark      id of the newest entry the caller has seen
-- Returns  {there, before, newest, covers, entry, trimmed}   there: 1 when the journal holds the mark; before: its last
--          entry no later than the mark, newest: its last entry ('0-0' for none); the others '0-0' where there is none
-- Clock    none.
-- Promise  nothing is written.

local before = redis.call('XREVRANGE', KEYS[1], ARGV[1], '-', 'COUNT', 1)[1]
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local accepted = redis.call('HMGET', KEYS[2], 'covers', 'entry')
return {
  before and before[1] == ARGV[1] and 1 or 0,
  before and before[1] or '0-0',
  newest and newest[1] or '0-0',
  accepted[1] or '0-0',
  accepted[2] or '0-0',
  redis.call('GET', KEYS[3]) or '0-0',
}
