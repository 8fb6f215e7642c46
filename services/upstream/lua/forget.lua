-- Forgets answers that fit, a step at a time; and with the first step the calls under way that fit, so that these keep none.
--
-- KEYS  as in entries.lua
-- ARGV  1 connection, 2 upstream, 3 method, each empty for any, 4 what the step before ended with, empty for the first,
--       5 answers looked at
-- Answers {how many went, what this step ends with or nothing, what the tenant's take, calls for which others wait, objects
-- that nobody needs}.

local connection, upstream, method, after, limit = unpack(ARGV)
local DIGEST = 43

local function fits(scope)
    local its_connection, its_upstream, its_method = string.match(scope, '^([^\n]*)\n([^\n]*)\n([^\n]*)$')
    return (connection == '' or connection == its_connection)
        and (upstream == '' or upstream == its_upstream)
        and (method == '' or method == its_method)
end

local waited = {}
if after == '' then
    local flights = redis.call('HGETALL', FLIGHTS)
    for i = 1, #flights, 2 do
        local flight = read_flight(flights[i])
        if fits(flight.scope) then
            redis.call('HDEL', FLIGHTS, flights[i])
            if flight.waited == '1' then waited[#waited + 1] = flights[i] end
        end
    end
end

local prefix = ''
if connection ~= '' then
    prefix = connection .. '\n'
    if upstream ~= '' then prefix = prefix .. upstream .. '\n' end
end
local from = after ~= '' and '(' .. after or prefix ~= '' and '[' .. prefix or '-'
local to = prefix ~= '' and '(' .. prefix .. '\255' or '+'
local found = redis.call('ZRANGEBYLEX', INDEX, from, to, 'LIMIT', 0, limit)
local objects, count = {}, 0
for _, member in ipairs(found) do
    local scope, digest = string.sub(member, 1, -DIGEST - 2), string.sub(member, -DIGEST)
    if fits(scope) and drop(digest, objects) then count = count + 1 end
end
local last = #found == tonumber(limit) and found[#found] or ''
return {count, last, take(read_clock()), waited, objects}
