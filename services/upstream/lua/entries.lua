-- What the scripts of a tenant's answers share: how one leaves, and what all of them take.
--
-- KEYS  1 what they take, 2 when each was used last, 3 when each is over, 4 what is known of each, 5 whose they are,
--       6 the calls under way. The answers themselves lie beside them, under names that are known in here alone.

local TAKES, USED, LAPSES, KNOWN, INDEX, FLIGHTS = unpack(KEYS)
local ENTRY = string.sub(TAKES, 1, -6) .. 'entry:'
-- Longer than any answer serves: what is left of a tenant that nobody looks after goes by itself.
local LEFT_ALONE_MS = 2 * 24 * 60 * 60 * 1000
local NO_OBJECT = '-'

-- Adds to `objects` the name of an object that nobody needs any more.
local function leave(objects, digest, object)
    if object ~= NO_OBJECT then objects[#objects + 1] = digest .. '/' .. object end
end

-- Takes an answer out; answers with its bytes in Redis, in the object store, and its scope, or nil where there is none.
local function drop(digest, objects)
    local known = redis.call('HGET', KNOWN, digest)
    if not known then return nil end
    local in_redis, in_objects, object, scope = string.match(known, '^(%d+) (%d+) (%S+) (.*)$')
    redis.call('DEL', ENTRY .. digest)
    redis.call('HDEL', KNOWN, digest)
    redis.call('ZREM', USED, digest)
    redis.call('ZREM', LAPSES, digest)
    redis.call('ZREM', INDEX, scope .. '\n' .. digest)
    redis.call('HINCRBY', TAKES, 'redis', 0 - in_redis) -- of a bare minus 0 would come out as -0
    redis.call('HINCRBY', TAKES, 'objects', 0 - in_objects)
    leave(objects, digest, object)
    return tonumber(in_redis), tonumber(in_objects), scope
end

-- Takes out what is over, so many at most; answers with how many those were, and their bytes.
local function reap(now, limit, objects)
    local lapsed = redis.call('ZRANGEBYSCORE', LAPSES, '-inf', now, 'LIMIT', 0, limit)
    local from_redis, from_objects = 0, 0
    for _, digest in ipairs(lapsed) do
        local in_redis, in_objects = drop(digest, objects)
        from_redis, from_objects = from_redis + (in_redis or 0), from_objects + (in_objects or 0)
    end
    return #lapsed, from_redis, from_objects
end

-- What all of them take now, under a revision that no older word has.
local function take(now)
    local before = tonumber(redis.call('HGET', TAKES, 'revision') or 0)
    local revision = string.format('%.0f', math.max(before + 1, now * 1000))
    redis.call('HSET', TAKES, 'revision', revision)
    if redis.call('ZCARD', USED) == 0 then redis.call('HSET', TAKES, 'redis', 0, 'objects', 0) end
    redis.call('PEXPIRE', TAKES, LEFT_ALONE_MS)
    local found = redis.call('HMGET', TAKES, 'redis', 'objects')
    return {tonumber(found[1]), tonumber(found[2]), revision}
end
