-- `Grant::revoke`. ARGV: issuer, client, now, hash of the salt, subject, reason, and, where one access token is meant, its
-- id and its end, 8 bytes each.
local now, reason, token = tonumber(ARGV[3]), ARGV[6], ARGV[7]
local function is_other(wanted, value)
  return wanted ~= '' and wanted ~= some(value)
end
if not old.issuer then return answer('unknown') end
if
  old.issuer ~= ARGV[1] or is_other(ARGV[2], old.client_id) or is_other(ARGV[4], old.secret_hash)
  or is_other(ARGV[5], old.subject)
then
  return answer('mismatch')
end
if old.revoked_at then return answer('ended') end
if token == '' then
  revoke(ARGV[3], reason)
  return answer('revoked')
end

local tokens, known = {}, old.revoked_tokens or ''
for at = 1, #known, 16 do
  local entry = known:sub(at, at + 15)
  if entry:sub(1, 8) ~= token:sub(1, 8) and now < struct.unpack('>I8', entry, 9) then tokens[#tokens + 1] = entry end
end
if #tokens == 32 then
  tokens = {}
  -- A clock that stepped back brings nothing back.
  if not old.revoked_until or now > tonumber(old.revoked_until) then set('revoked_until', ARGV[3]) end
end
tokens[#tokens + 1] = token
set('revoked_tokens', table.concat(tokens))
return answer('revoked')
