-- revocation.lua: refuse tokens of one tenant from now on, or lift such a refusal.
--
-- Atomic: all of it happens or none of it. One slot: both keys carry {@revoked}, which is no tenant's name.
-- KEYS[1]  list     hash    'tenant/kind/id' -> 'until|before|why' (ms; empty: for good, of every age); 'version'
-- KEYS[2]  journal  stream  who did what and why, bounded
-- ARGV[1]  field    which tokens
-- ARGV[2]  value    as in the list; '' lifts it
-- ARGV[3]  before   ms: the instant in the value; '' for none
-- ARGV[4]  most     how many revocations the list may hold
-- ARGV[5]  actor    who wants it
-- ARGV[6]  reason   why
-- Returns  {'done'}     the list has changed, and so has its version
--          {'same'}     it stood there already, or nothing that could be lifted; nothing was written
--          {'weaker'}   a later instant stands there; nothing was written
--          {'full'}     the list is full; nothing was written
-- Clock    the server's TIME decides which revocations have lapsed; those are dropped on the way.
-- Promise  a new version whenever the list changes; no balance is known here.

local now = now_ms()
local most = whole(ARGV[4], 'most')
local lapsed, count = {}, 0
local found = redis.call('HGETALL', KEYS[1])
for at = 1, #found, 2 do
  local ends = string.match(found[at + 1], '^(%d+)|')
  if found[at] ~= ARGV[1] and ends and whole(ends, 'until') <= now then
    lapsed[#lapsed + 1] = found[at]
  elseif found[at] ~= ARGV[1] and found[at] ~= 'version' then
    count = count + 1
  end
end
local stands = redis.call('HGET', KEYS[1], ARGV[1])
if stands == ARGV[2] or (not stands and ARGV[2] == '') then
  return {'same'}
end
local reaches_to = stands and string.match(stands, '^%d*|(%d+)|')
if ARGV[2] ~= '' and reaches_to and whole(reaches_to, 'before') > whole(ARGV[3], 'before') then
  return {'weaker'}
end
if ARGV[2] ~= '' and count >= most then
  return {'full'}
end

local version = redis.call('XADD', KEYS[2], 'MAXLEN', '~', 100000, '*',
  'field', ARGV[1], 'value', ARGV[2], 'actor', ARGV[5], 'reason', ARGV[6])
for _, field in ipairs(lapsed) do
  redis.call('HDEL', KEYS[1], field)
end
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
redis.call('HSET', KEYS[1], 'version', version)
return {'done'}
