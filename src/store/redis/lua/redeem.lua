-- `Grant::redeem`. ARGV: issuer, client, now, redirect URI, challenge, hash of the salt, the grant's end, for how many
-- seconds the code may be sent twice.
local redirect_uri, challenge, secret, ending = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local now, double_submit = tonumber(ARGV[3]), tonumber(ARGV[8])
if not old.issuer then return answer('unknown') end

local same_redirect_uri = redirect_uri == some(old.redirect_uri)
-- OAuth 2.1 §10.2: with PKCE the redirect URI adds nothing here.
if redirect_uri == '' then same_redirect_uri = old.challenge or old.redirect_uri_sent == '0' end
if old.issuer ~= ARGV[1] or old.client_id ~= ARGV[2] or not same_redirect_uri or challenge ~= some(old.challenge) then
  return answer('mismatch')
end
if old.revoked_at then return answer('ended') end
if now >= tonumber(old.expires_at) then return answer('expired') end

if not old.redeemed_at then
  keep(tonumber(ending) - now)
  if tonumber(ending) < tonumber(old.expires_at) then redis.call('ZADD', KEYS[2], 'XX', ending, old.due) end
  set('redeemed_at', ARGV[3])
  set('rotated_at', ARGV[3])
  set('secret_hash', secret)
  set('expires_at', ending)
  return answer('redeemed')
end
if old.secret_hash == secret then return answer('redeemed') end
if old.challenge and since(now, old.redeemed_at) < double_submit then return answer('repeated') end
revoke(ARGV[3], 'code_reuse')
return answer('replayed')
