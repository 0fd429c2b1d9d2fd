-- snapshot.lua: balances and the journal's end at one instant, for reading and for audits.
--
-- KEYS[1]  journal   stream
-- KEYS[2]  register  zset    place of a balance -> ms until which it is kept
-- KEYS[3…] balances  hash    spent, held, granted
-- ARGV[1]  budgets           'name|start|end …' in the order of KEYS[3…]
-- ARGV[2]  audit             1: also tell what the register names, and take no absent balance for a new one; 0: neither
-- Returns  {now, id of the journal's last entry ('0-0' for none), names, spent, held, granted, …}   each as stored
--          text; 'missing' three times for a balance that is gone and must be there, 'wrong' for a key of another kind;
--          names: 'name|start …' of all balances the register says are kept, or 'wrong' likewise
-- Clock    the server's TIME, returned.
-- Promise  nothing is written.

local now = now_ms()
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local answer = {now, last[1] and last[1][1] or '0-0', ''}
local audit = ARGV[2] == '1'
if audit then
  local names = redis.pcall('ZRANGEBYSCORE', KEYS[2], '(' .. digits(now), '+inf')
  answer[3] = names.err and 'wrong' or table.concat(names, ' ')
end
for i = 3, #KEYS do
  local found = redis.pcall('HMGET', KEYS[i], 'spent', 'held', 'granted')
  local instead = found.err and 'wrong'
  if not instead and not (found[1] or found[2] or found[3]) then
    instead = (audit or missing(KEYS[2], KEYS[1], place(ARGV[1], i - 2), now)) and 'missing'
  end
  answer[#answer + 1] = instead or found[1] or '0'
  answer[#answer + 1] = instead or found[2] or '0'
  answer[#answer + 1] = instead or found[3] or ''
end
return answer
