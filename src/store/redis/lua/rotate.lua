-- `Grant::rotate`. ARGV: issuer, client, now, hash of the salt, generation, grace and idle time in seconds.
local secret, presented = ARGV[4], tonumber(ARGV[5])
local now, grace, idle = tonumber(ARGV[3]), tonumber(ARGV[6]), tonumber(ARGV[7])
if not kept[ISSUER] then return answer('unknown') end
if
  kept[ISSUER] ~= ARGV[1] or kept[CLIENT_ID] ~= ARGV[2] or not kept[REDEEMED_AT] or kept[SECRET_HASH] ~= secret
then
  return answer('mismatch')
end
if kept[REVOKED_AT] then return answer('ended') end
local unused, expires_at = since(now, kept[ROTATED_AT]), tonumber(kept[EXPIRES_AT])
if now >= expires_at or unused >= idle then return answer('expired') end

local current = tonumber(kept[GENERATION])
if presented > current + 1 then return answer('too_far') end
if presented >= current then
  keep(math.min(expires_at - now, idle))
  redis.call('HSET', KEYS[1], 'generation', presented + 1, 'rotated_at', ARGV[3])
  kept[GENERATION], kept[ROTATED_AT] = presented + 1, ARGV[3]
  return answer(presented == current and 'rotated' or 'ahead')
end
if presented + 1 == current and unused <= grace then return answer('retried') end
revoke(ARGV[3], 'refresh_reuse')
return answer('replayed')
