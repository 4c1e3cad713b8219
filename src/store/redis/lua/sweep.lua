-- `Grant::is_over`. ARGV: its entry in KEYS[2], now, idle time in seconds.
local now, idle = tonumber(ARGV[2]), tonumber(ARGV[3])
if not kept[ISSUER] then return 'gone' end
-- What cannot be read is left to its expiry.
local last = tonumber(kept[EXPIRES_AT]) or LONGEST
local over = kept[REVOKED_AT] or now >= last
if kept[REDEEMED_AT] then
  local rotated = tonumber(kept[ROTATED_AT]) or LONGEST
  over = over or since(now, rotated) >= idle
  last = math.min(last, rotated + idle)
end
if over then
  redis.call('DEL', KEYS[1])
  return 'swept'
end
redis.call('ZADD', KEYS[2], 'XX', string.format('%.0f', last), ARGV[1])
keep(last - now)
return 'alive'
