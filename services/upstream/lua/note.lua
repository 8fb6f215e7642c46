-- Notes what a tenant's answers take; where all tenants' take too much, tells one replica at a time who is to give room.
--
-- KEYS  1 revisions of what was noted, 2 bytes in Redis, 3 bytes in all, each by tenant, 4 their sums, 5 who makes room
-- ARGV  1 the replica, 2 ms in which it makes some room or is taken for dead, 3 bytes that may be in Redis, 4 in all,
--       5 tenant or nothing, 6 revision, 7 its bytes in Redis, 8 in the object store
-- Answers {bytes in Redis, bytes in all}, and where the replica is to make room {…, tenant, bytes wanted of Redis, of both}.

local NOTED, IN_REDIS, IN_ALL, SUMS, EVICTING = unpack(KEYS)
local me, patience_ms, most_in_redis, most, tenant = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]

local function note(key, sum, bytes)
    local change = bytes - tonumber(redis.call('ZSCORE', key, tenant) or 0)
    if bytes > 0 then redis.call('ZADD', key, bytes, tenant) else redis.call('ZREM', key, tenant) end
    redis.call('HINCRBY', SUMS, sum, string.format('%.0f', change))
end

-- Who gives, and how many bytes: who takes most, down to who takes most after that; equals give alike.
local function share(key, excess)
    local most_two = redis.call('ZREVRANGE', key, 0, 1, 'WITHSCORES')
    local above = most_two[4] and most_two[2] - most_two[4] or excess
    local alike = math.ceil(excess / redis.call('ZCARD', key))
    return most_two[1], math.min(excess, math.max(above, alike))
end

if tenant ~= '' and tonumber(ARGV[6]) > tonumber(redis.call('HGET', NOTED, tenant) or 0) then
    local in_redis, in_objects = tonumber(ARGV[7]), tonumber(ARGV[8])
    note(IN_REDIS, 'redis', in_redis)
    note(IN_ALL, 'all', in_redis + in_objects)
    if in_redis > 0 then redis.call('HSET', NOTED, tenant, ARGV[6]) else redis.call('HDEL', NOTED, tenant) end
end
local sums = redis.call('HMGET', SUMS, 'redis', 'all')
local in_redis, in_all = tonumber(sums[1] or 0), tonumber(sums[2] or 0)
local told = {in_redis, in_all}
local holder = redis.call('GET', EVICTING)
if in_redis <= most_in_redis and in_all <= most or redis.call('ZCARD', IN_ALL) == 0 then
    if holder == me then redis.call('DEL', EVICTING) end
elseif not holder or holder == me then
    redis.call('SET', EVICTING, me, 'PX', patience_ms)
    if in_all > most then
        local who, bytes = share(IN_ALL, in_all - most)
        told[3], told[4], told[5] = who, 0, bytes
    else
        local who, bytes = share(IN_REDIS, in_redis - most_in_redis)
        told[3], told[4], told[5] = who, bytes, 0
    end
end
return told
