-- KEYS: those that registered themselves. ARGV: the id of one that is being connected, and until when its code is good.
local kept = redis.call('ZSCORE', KEYS[1], ARGV[1])
if kept and tonumber(kept) < tonumber(ARGV[2]) then redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1]) end
return 1
