-- void.lua: close an id for good if it was never held, so that a hold still on its way finds nothing to do.
--
-- KEYS[1]  record    hash    the hold itself
-- ARGV[1]  kept              ms the closed id is remembered
-- Returns  {'void'}               closed, by this call or an earlier one
--          {'known', state, amount, deadline, budgets}   it was held: end it with settle.lua
-- Clock    none.
-- Promise  no balance moves.

local record = redis.call('HMGET', KEYS[1], 'state', 'amount', 'deadline', 'budgets')
if record[1] and record[1] ~= 'void' then
  return {'known', record[1], record[2] or '0', record[3] or '0', record[4] or ''}
end
local kept = whole(ARGV[1], 'kept')
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'state', 'void')
redis.call('PEXPIRE', KEYS[1], digits(kept))
return {'void'}
