-- The time: Redis' own, so that all replicas go by one clock. Milliseconds since the Unix epoch.
-- It stands alone so that a test can put another clock in its place, and no hook for tests is in what runs.

local function read_clock()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end
