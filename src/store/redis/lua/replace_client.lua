-- KEYS: the clients, and those that registered themselves. ARGV: the client's id, what it was, what it becomes; nothing of
-- it stays but its id where that is empty. 2: it was that already.
local kept = redis.call('HGET', KEYS[1], ARGV[1])
if kept == ARGV[3] then return 2 end
if kept ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
if ARGV[3] == '' then redis.call('ZREM', KEYS[2], ARGV[1]) end
return 1
