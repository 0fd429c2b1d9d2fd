-- snapshot.lua: balances and the journal's end at one instant, for reading and for audits.
--
-- KEYS[1]  journal   stream
-- KEYS[2…] balances  hash    spent, held, granted
-- ARGV     none
-- Returns  {now, id of the journal's last entry ('0-0' for none), spent, held, granted, …}   each as stored text
-- Clock    the server's TIME, returned.
-- Promise  nothing is written.

local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local answer = {now_ms(), last[1] and last[1][1] or '0-0'}
for i = 2, #KEYS do
  local found = redis.call('HMGET', KEYS[i], 'spent', 'held', 'granted')
  answer[#answer + 1] = found[1] or '0'
  answer[#answer + 1] = found[2] or '0'
  answer[#answer + 1] = found[3] or ''
end
return answer
