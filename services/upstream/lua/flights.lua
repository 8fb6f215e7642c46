-- Calls under way: who makes each, until when that is believed, whether others wait for it, and its scope.

local function read_flight(digest)
    local found = redis.call('HGET', FLIGHTS, digest)
    if not found then return nil end
    local token, ends, waited, scope = string.match(found, '^(%S+) (%d+) (%d) (.*)$')
    return {token = token, ends = tonumber(ends), waited = waited, scope = scope}
end

local function write_flight(digest, flight)
    local text = string.format('%s %.0f %s %s', flight.token, flight.ends, flight.waited, flight.scope)
    redis.call('HSET', FLIGHTS, digest, text)
    redis.call('PEXPIRE', FLIGHTS, LEFT_ALONE_MS)
end
