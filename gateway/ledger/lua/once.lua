-- once.lua: what the first call under an idempotency key came to, at one instant.
--
-- KEYS[1]  record  hash  the first call's hold
-- KEYS[2]  once    hash  what is known of the call under the key
-- ARGV[1]  hold id       of the first call
-- Returns  {'found', state, charged, flag, facts}   as stored, '' for what is not known
--          {'free'}                                 the key is no longer this hold's
-- Clock    none.
-- Promise  nothing is written.

local once = redis.call('HMGET', KEYS[2], 'hold', 'facts')
if once[1] ~= ARGV[1] then
  return {'free'}
end
local record = redis.call('HMGET', KEYS[1], 'state', 'charged', 'flag')
return {'found', record[1] or '', record[2] or '', record[3] or '', once[2] or ''}
