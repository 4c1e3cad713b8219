-- `Grant::redeem`. ARGV: issuer, client, now, redirect URI, challenge, hash of the salt, the grant's end, for how many
-- seconds the code may be sent twice.
local redirect_uri, challenge, secret, ending = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local now, double_submit = tonumber(ARGV[3]), tonumber(ARGV[8])
if not kept[ISSUER] then return answer('unknown') end

local same_redirect_uri = redirect_uri == some(kept[REDIRECT_URI])
-- OAuth 2.1 §10.2: with PKCE the redirect URI adds nothing here.
if redirect_uri == '' then same_redirect_uri = kept[CHALLENGE] or kept[REDIRECT_URI_SENT] == '0' end
if
  kept[ISSUER] ~= ARGV[1] or kept[CLIENT_ID] ~= ARGV[2] or not same_redirect_uri
  or challenge ~= some(kept[CHALLENGE])
then
  return answer('mismatch')
end
if kept[REVOKED_AT] then return answer('ended') end
if now >= tonumber(kept[EXPIRES_AT]) then return answer('expired') end

if not kept[REDEEMED_AT] then
  keep(tonumber(ending) - now)
  if tonumber(ending) < tonumber(kept[EXPIRES_AT]) then
    redis.call('ZADD', KEYS[2], 'XX', ending, redis.call('HGET', KEYS[1], 'due'))
  end
  redis.call('HSET', KEYS[1], 'redeemed_at', ARGV[3], 'rotated_at', ARGV[3], 'secret_hash', secret, 'expires_at', ending)
  kept[REDEEMED_AT], kept[ROTATED_AT], kept[SECRET_HASH], kept[EXPIRES_AT] = ARGV[3], ARGV[3], secret, ending
  return answer('redeemed')
end
if kept[SECRET_HASH] == secret then return answer('redeemed') end
if kept[CHALLENGE] and since(now, kept[REDEEMED_AT]) < double_submit then return answer('repeated') end
revoke(ARGV[3], 'code_reuse')
return answer('replayed')
