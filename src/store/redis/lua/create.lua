-- Keeps a new grant; one that is there already stays as it is.
-- KEYS: the record. ARGV: for how many seconds Redis keeps it, then its fields and values.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
