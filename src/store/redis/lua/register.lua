-- KEYS: the clients, and until when those are kept that registered themselves and that nobody connects.
-- ARGV: the client's id, its value, until when, how many there can be.
local kept = redis.call('HGET', KEYS[1], ARGV[1])
-- An id is random, so this is the store's own retry.
if kept == ARGV[2] then return 1 end
if kept or redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
return 1
