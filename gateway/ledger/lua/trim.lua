-- trim.lua: drop the journal's oldest entries, and write what they amount to as one opening entry.
--
-- Atomic: all of it happens or none of it. One slot: every key carries {tenant}.
-- KEYS[1]  journal   stream
-- KEYS[2]  exported  string  id up to which the journal was exported
-- KEYS[3]  trimmed   string  id of the last entry that was trimmed
-- ARGV[1]  first     id of the journal's first entry when the others were summed up
-- ARGV[2]  through   id of the last entry to drop
-- ARGV[3]  next      the id that comes right after it
-- ARGV[4]  retention ms after which entries may go unexported ('' never)
-- ARGV[5]  entries   how many are dropped
-- ARGV[6]  amount    millicredits they moved `spent` by, each counted once; may be negative
-- ARGV[7]  budgets   'name|start|end …' they moved
-- ARGV[8]  spent     'millicredits …' in the order of budgets; may be negative, as later entries are
-- ARGV[9]  held      likewise
-- ARGV[10] granted   'amount|until …;…' likewise
-- Returns  {'trimmed'}   dropped, and the opening written
--          {'moved'}     the journal begins elsewhere: another trim came first; nothing was written
--          {'kept'}      neither exported nor old enough; nothing was written
-- Clock    the server's TIME decides what is old enough.
-- Promise  a recount gives the same before and after; no balance moves; a mark that was trimmed is known as such.

local now = now_ms()
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not first or first[1] ~= ARGV[1] then
  return {'moved'}
end
local exported = redis.call('GET', KEYS[2])
local old = ARGV[4] ~= '' and reaches(digits(now - whole(ARGV[4], 'retention')) .. '-0', ARGV[2])
if not old and not (exported and reaches(exported, ARGV[2])) then
  return {'kept'}
end

redis.call('XTRIM', KEYS[1], 'MINID', '=', ARGV[3])
redis.call('SET', KEYS[3], ARGV[2])
redis.call('XADD', KEYS[1], '*', 'op', 'opening', 'id', ARGV[2], 'entries', ARGV[5], 'amount', ARGV[6],
  'budgets', ARGV[7], 'spent', ARGV[8], 'held', ARGV[9], 'granted', ARGV[10])
return {'trimmed'}
