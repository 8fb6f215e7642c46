-- Looks for an answer; where there is none, makes the asker the one who calls, or tells it that another one does.
--
-- KEYS  as in entries.lua
-- ARGV  1 digest, 2 the asker's token, 3 ms that it is believed to call, 4 ms that an answer serves, 5 1 to call whatever
--       there is, else 0, 6 scope
-- Answers {'hit', head, body, object, size}, {'lead'}, or {'wait', ms until the other one is believed no more}.

local digest, token, believed_ms, serves_ms, refresh, scope = unpack(ARGV)
local now = read_clock()

if refresh == '0' then
    local found = redis.call('HMGET', ENTRY .. digest, 'kept', 'ends', 'head', 'body', 'object', 'size')
    local kept, ends = tonumber(found[1] or 'none'), tonumber(found[2] or 'none')
    if kept and kept <= now and now < math.min(ends, kept + tonumber(serves_ms)) then
        redis.call('ZADD', USED, 'XX', now, digest)
        return {'hit', found[3], found[4], found[5], tonumber(found[6])}
    end
end
local flight = read_flight(digest)
if flight and flight.ends > now and refresh == '0' then
    if flight.waited == '0' then
        flight.waited = '1'
        write_flight(digest, flight)
    end
    return {'wait', flight.ends - now}
end
local waited = flight and flight.waited or '0'
write_flight(digest, {token = token, ends = now + tonumber(believed_ms), waited = waited, scope = scope})
return {'lead'}
