-- The time as a test has set it, in place of Redis' own.

local function read_clock()
    return tonumber(redis.call('GET', 'upstream-test-clock'))
end
