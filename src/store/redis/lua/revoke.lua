-- `Grant::revoke`. ARGV: issuer, client, now, hash of the salt, subject, reason, and, where one access token is meant, its
-- id and its end, 8 bytes each.
local now, reason, token = tonumber(ARGV[3]), ARGV[6], ARGV[7]
local function is_other(wanted, value)
  return wanted ~= '' and wanted ~= some(value)
end
if not kept[ISSUER] then return answer('unknown') end
if
  kept[ISSUER] ~= ARGV[1] or is_other(ARGV[2], kept[CLIENT_ID]) or is_other(ARGV[4], kept[SECRET_HASH])
  or is_other(ARGV[5], kept[SUBJECT])
then
  return answer('mismatch')
end
if kept[REVOKED_AT] then return answer('ended') end
if token == '' then
  revoke(ARGV[3], reason)
  return answer('revoked')
end

local tokens, known = {}, kept[REVOKED_TOKENS] or ''
for at = 1, #known, 16 do
  local entry = known:sub(at, at + 15)
  if entry:sub(1, 8) ~= token:sub(1, 8) and now < struct.unpack('>I8', entry, 9) then tokens[#tokens + 1] = entry end
end
if #tokens == 32 then
  tokens = {}
  -- A clock that stepped back brings nothing back.
  if not kept[REVOKED_UNTIL] or now > tonumber(kept[REVOKED_UNTIL]) then
    redis.call('HSET', KEYS[1], 'revoked_until', ARGV[3])
    kept[REVOKED_UNTIL] = ARGV[3]
  end
end
tokens[#tokens + 1] = token
kept[REVOKED_TOKENS] = table.concat(tokens)
redis.call('HSET', KEYS[1], 'revoked_tokens', kept[REVOKED_TOKENS])
revoked(token:sub(1, 8), struct.unpack('>I8', token, 9) + BEYOND)
if kept[REVOKED_UNTIL] then
  local issued_until = tonumber(kept[REVOKED_UNTIL])
  revoked('<' .. struct.pack('>I8', issued_until), issued_until + PRESENTED)
end
tell()
return answer('revoked')
