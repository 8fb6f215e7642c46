-- Keeps an answer, if the call is still the caller's own: where its answers were forgotten meanwhile, or another one has
-- taken it over, nothing is kept.
--
-- KEYS  as in entries.lua
-- ARGV  1 digest, 2 the caller's token, 3 ms that it serves, 4 head, 5 body, 6 its object's name or -, 7 bytes of the body,
--       8 bytes in Redis, 9 bytes in the object store
-- Answers {whether it was kept, whether others wait, what the tenant's take or nothing, objects that nobody needs}.

local digest, token, serves_ms, head, body, object, size, in_redis, in_objects = unpack(ARGV)
local REAPED = 64

local flight = read_flight(digest)
if not flight or flight.token ~= token then return {0, 1, {}, {}} end
local now, objects = read_clock(), {}
redis.call('HDEL', FLIGHTS, digest)
reap(now, REAPED, objects)
drop(digest, objects)
local ends = now + tonumber(serves_ms)
redis.call('HSET', ENTRY .. digest, 'kept', now, 'ends', ends, 'size', size, 'object', object, 'head', head, 'body', body)
redis.call('PEXPIRE', ENTRY .. digest, serves_ms)
redis.call('ZADD', USED, now, digest)
redis.call('ZADD', LAPSES, ends, digest)
redis.call('HSET', KNOWN, digest, table.concat({in_redis, in_objects, object, flight.scope}, ' '))
redis.call('ZADD', INDEX, 0, flight.scope .. '\n' .. digest)
redis.call('HINCRBY', TAKES, 'redis', in_redis)
redis.call('HINCRBY', TAKES, 'objects', in_objects)
for _, key in ipairs({USED, LAPSES, KNOWN, INDEX}) do redis.call('PEXPIRE', key, LEFT_ALONE_MS) end
return {1, tonumber(flight.waited), take(now), objects}
