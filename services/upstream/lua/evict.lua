-- Takes out what is over, then what was used least lately, until so many bytes are free.
--
-- KEYS  as in entries.lua
-- ARGV  1 bytes wanted of Redis, 2 bytes wanted of both, 3 answers at most of either kind
-- Where nothing is wanted, calls go too that nobody has said a word of for an hour: their callers were killed.
-- Answers {what the tenant's take, whether more of it is over, scopes of what went before its time, objects that nobody needs}.

local from_redis, from_both, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local now, objects, scopes = read_clock(), {}, {}

if from_both == 0 and from_redis == 0 then
    local flights = redis.call('HGETALL', FLIGHTS)
    for i = 1, #flights, 2 do
        if read_flight(flights[i]).ends < now - 60 * 60 * 1000 then redis.call('HDEL', FLIGHTS, flights[i]) end
    end
end
local reaped, in_redis, in_objects = reap(now, limit, objects)
local freed_redis, freed_both = in_redis, in_redis + in_objects
if freed_redis < from_redis or freed_both < from_both then
    for _, digest in ipairs(redis.call('ZRANGE', USED, 0, limit - 1)) do
        if freed_redis >= from_redis and freed_both >= from_both then break end
        local redis_bytes, object_bytes, scope = drop(digest, objects)
        if scope then
            freed_redis, freed_both = freed_redis + redis_bytes, freed_both + redis_bytes + object_bytes
            scopes[#scopes + 1] = scope
        else
            redis.call('ZREM', USED, digest)
        end
    end
end
return {take(now), reaped == limit and 1 or 0, scopes, objects}
