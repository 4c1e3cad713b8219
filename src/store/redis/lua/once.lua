-- KEYS: what may happen once. ARGV: until when it is remembered, now, for how many seconds Redis keeps it, and who asks: the
-- same once more is the store's own retry.
local seen = redis.call('HMGET', KEYS[1], 'until', 'by')
if seen[2] == ARGV[4] then return 1 end
if seen[1] and tonumber(ARGV[2]) < tonumber(seen[1]) then return 0 end
redis.call('HSET', KEYS[1], 'until', ARGV[1], 'by', ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
