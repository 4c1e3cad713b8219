-- The usual `Grant::rotate` of a record that was read before: nothing else that it was decided by can have changed since.
-- KEYS: the record. ARGV: the generation it has, the one it gets, now, and for how many seconds Redis keeps it.
local kept = redis.call('HMGET', KEYS[1], 'generation', 'revoked_at')
if kept[1] ~= ARGV[1] or kept[2] then return 0 end
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('HSET', KEYS[1], 'generation', ARGV[2], 'rotated_at', ARGV[3])
return 1
