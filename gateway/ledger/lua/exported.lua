-- exported.lua: note up to which entry the journal was exported.
--
-- KEYS[1]  mark   string  id of a journal entry
-- ARGV[1]  id     of the last entry that was exported, all before it included
-- Returns  {'marked', id}   the mark as it stands now
-- Clock    none.
-- Promise  idempotent; the mark only ever goes forward.

local marked = redis.call('GET', KEYS[1])
if marked and reaches(marked, ARGV[1]) then
  return {'marked', marked}
end
redis.call('SET', KEYS[1], ARGV[1])
return {'marked', ARGV[1]}
