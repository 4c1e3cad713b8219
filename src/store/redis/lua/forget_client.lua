-- KEYS: the clients, and those that registered themselves. ARGV: the id of one that nobody connected.
if redis.call('ZREM', KEYS[2], ARGV[1]) == 1 then redis.call('HDEL', KEYS[1], ARGV[1]) end
