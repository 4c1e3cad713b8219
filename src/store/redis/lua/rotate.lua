-- `Grant::rotate`. ARGV: issuer, client, now, hash of the salt, generation, grace and idle time in seconds.
local secret, presented = ARGV[4], tonumber(ARGV[5])
local now, grace, idle = tonumber(ARGV[3]), tonumber(ARGV[6]), tonumber(ARGV[7])
if not old.issuer then return answer('unknown') end
if old.issuer ~= ARGV[1] or old.client_id ~= ARGV[2] or not old.redeemed_at or old.secret_hash ~= secret then
  return answer('mismatch')
end
if old.revoked_at then return answer('ended') end
local unused = since(now, old.rotated_at)
if now >= tonumber(old.expires_at) or unused >= idle then return answer('expired') end

local current = tonumber(old.generation)
if presented > current + 1 then return answer('too_far') end
if presented >= current then
  keep(math.min(tonumber(old.expires_at) - now, idle))
  set('generation', string.format('%.0f', presented + 1))
  set('rotated_at', ARGV[3])
  return answer(presented == current and 'rotated' or 'ahead')
end
if presented + 1 == current and unused <= grace then return answer('retried') end
revoke(ARGV[3], 'refresh_reuse')
return answer('replayed')
