-- Has a caller believed for a while longer, or lets its call go.
--
-- KEYS  as in entries.lua
-- ARGV  1 digest, 2 the caller's token, 3 ms that it is believed from now on; 0 to let go
-- Answers {whether the call was still its own, whether others wait for it}.

local digest, token, believed_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local flight = read_flight(digest)
if not flight or flight.token ~= token then return {0, 1} end
if believed_ms > 0 then
    flight.ends = read_clock() + believed_ms
    write_flight(digest, flight)
else
    redis.call('HDEL', FLIGHTS, digest)
end
return {1, tonumber(flight.waited)}
