-- KEYS: the documents. ARGV: the name of one, what it becomes, and what it was; without that there was none. That it is
-- what it becomes already is an earlier try, and written once more for whoever waits for the replicas.
local kept = redis.call('HGET', KEYS[1], ARGV[1])
if kept ~= ARGV[2] and kept ~= (ARGV[3] or false) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
