-- Every script on the record of a grant begins with this: what is kept, and what the steps have in common.
-- KEYS: the record, when the sweep looks at which record, how many revocations there were, and what was revoked. All are in
-- one hash slot.
-- The last of ARGV is the channel of revocations, where a script may revoke.

-- For how many seconds a record outlives its end. The rules go by the time that the caller says; the expiry only cleans
-- up, so it leaves room for clocks that differ.
local MARGIN = 3600
-- Redis counts an expiry in milliseconds, in 64 bits.
local LONGEST = 1e12

-- As in `grant/revoked_tokens.rs`: how long a token can be presented that was issued before, and one after its end.
local PRESENTED, BEYOND = 86520, 120

-- The fields of `rows.rs`, each at its place; `false` where there is none. Names would be made, sent and read anew each time.
local kept = redis.call('HMGET', KEYS[1], 'issuer', 'client_id', 'subject', 'scope', 'resources', 'claims', 'auth_time',
  'redirect_uri', 'redirect_uri_sent', 'challenge', 'created_at', 'expires_at', 'redeemed_at', 'rotated_at',
  'secret_hash', 'generation', 'revoked_at', 'revoke_reason', 'revoked_tokens', 'revoked_until')
local ISSUER, CLIENT_ID, SUBJECT, REDIRECT_URI, REDIRECT_URI_SENT, CHALLENGE = 1, 2, 3, 8, 9, 10
local EXPIRES_AT, REDEEMED_AT, ROTATED_AT, SECRET_HASH, GENERATION = 12, 13, 14, 15, 16
local REVOKED_AT, REVOKE_REASON, REVOKED_TOKENS, REVOKED_UNTIL = 17, 18, 19, 20
local OUTCOME = 21

-- A value that may be missing, as arguments tell it.
local function some(value)
  return value and '=' .. value or ''
end

-- A clock that stepped back counts as no time at all.
local function since(now, earlier)
  return math.max(now - tonumber(earlier), 0)
end

-- Lets Redis forget the record when nothing can come of it any more, in so many seconds. It is always written first: a
-- script that has written may go on where memory is full, so a grant can be revoked even then.
local function keep(seconds)
  redis.call('EXPIRE', KEYS[1], math.min(math.max(seconds, 0), LONGEST) + MARGIN)
end

-- The other nodes are told.
local function tell()
  local number = string.format('%.0f', redis.call('INCR', KEYS[3]))
  -- Who may not publish has counted it all the same.
  redis.pcall('PUBLISH', ARGV[#ARGV], number .. ' ' .. KEYS[1]:sub(-22))
end

-- Keeps what was revoked, for verifiers that know no grants: which tokens, all of them where there is nothing, and until
-- when. Redis forgets it by itself, as a record, where nobody sweeps.
local function revoked(tokens, ending)
  local entry = KEYS[1]:sub(-22) .. tokens
  local known = redis.call('ZSCORE', KEYS[4], entry)
  if not known or tonumber(known) < ending then redis.call('ZADD', KEYS[4], string.format('%.0f', ending), entry) end
  redis.call('EXPIRE', KEYS[4], PRESENTED + MARGIN)
end

-- The grant ends, and the next sweep forgets it.
local function revoke(now, reason)
  keep(0)
  redis.call('ZADD', KEYS[2], 'XX', 0, redis.call('HGET', KEYS[1], 'due'))
  redis.call('HSET', KEYS[1], 'revoked_at', now, 'revoke_reason', reason)
  kept[REVOKED_AT], kept[REVOKE_REASON] = now, reason
  revoked('', tonumber(now) + PRESENTED)
  tell()
end

-- The record as it is now, and behind it the outcome. Whatever is written is put into `kept` as well.
local function answer(outcome)
  kept[OUTCOME] = outcome
  return kept
end
