-- How fast jobs end: a hash with a count for each sub-window, by its number since the epoch, and when the last one ended.

local SLOT_MS, SLOTS = 10000, 6 -- a minute
local DRAINED_KEPT_MS = 86400000

local function note_ends(drained, count, now)
    local slot = math.floor(now / SLOT_MS)
    if redis.call('HINCRBY', drained, slot, count) == count then -- a new sub-window: the old ones go
        for _, field in ipairs(redis.call('HKEYS', drained)) do
            if field ~= 'last' and tonumber(field) <= slot - SLOTS then
                redis.call('HDEL', drained, field)
            end
        end
        redis.call('PEXPIRE', drained, DRAINED_KEPT_MS)
    end
    redis.call('HSET', drained, 'last', now)
end

-- {jobs that ended within the window, ms of the window, ms since one ended (-1 where that is not known)}
local function read_ends(drained, now)
    local slot, ended, last = math.floor(now / SLOT_MS), 0, false
    local found = redis.call('HGETALL', drained)
    for i = 1, #found, 2 do
        if found[i] == 'last' then
            last = tonumber(found[i + 1])
        elseif tonumber(found[i]) > slot - SLOTS then
            ended = ended + found[i + 1]
        end
    end
    return {ended, now - (slot - SLOTS + 1) * SLOT_MS, last and math.max(0, now - last) or -1}
end
