-- Every script on the record of a grant begins with this: what is kept, and how a step changes it.
-- KEYS: the record, and when the sweep looks at which record. Both are in one hash slot.

-- For how many seconds a record outlives its end. The rules go by the time that the caller says; the expiry only cleans
-- up, so it leaves room for clocks that differ.
local MARGIN = 3600
-- Redis counts an expiry in milliseconds, in 64 bits.
local LONGEST = 1e12

local kept = redis.call('HGETALL', KEYS[1])
local old = {}
for at = 1, #kept, 2 do old[kept[at]] = kept[at + 1] end

-- Fields and their new values, one after the other.
local changes = {}
local function set(field, value)
  changes[#changes + 1] = field
  changes[#changes + 1] = value
end

-- A value that may be missing, as arguments tell it.
local function some(value)
  return value and '=' .. value or ''
end

-- A clock that stepped back counts as no time at all.
local function since(now, earlier)
  return math.max(now - tonumber(earlier), 0)
end

-- Lets Redis forget the record when nothing can come of it any more, in so many seconds.
local function keep(seconds)
  redis.call('EXPIRE', KEYS[1], string.format('%.0f', math.min(math.max(seconds, 0), LONGEST) + MARGIN))
end

-- The expiry is always written before this: a script that has written may go on where memory is full, so a grant can be
-- revoked even then.
local function answer(outcome)
  if #changes > 0 then redis.call('HSET', KEYS[1], unpack(changes)) end
  return {outcome, kept, changes}
end

-- The grant ends, and the next sweep forgets it.
local function revoke(now, reason)
  keep(0)
  redis.call('ZADD', KEYS[2], 'XX', 0, old.due)
  set('revoked_at', now)
  set('revoke_reason', reason)
end

