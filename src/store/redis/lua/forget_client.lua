-- KEYS: the clients, and those that registered themselves. ARGV: the id of one that had no grant, and now: whoever is
-- connecting it meanwhile keeps it (keep_client.lua).
local kept = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not kept or tonumber(kept) > tonumber(ARGV[2]) then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[1], ARGV[1])
return 1
