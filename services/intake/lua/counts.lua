-- Counts by tenant, each noted anew from time to time, and their sum: of what all tenants have together.

-- Notes a tenant and its count, as often as they stand in ARGV from there on; answers with the sum of all tenants' counts.
local function note_counts(counts, sum, from)
    local change = 0
    for i = from, #ARGV, 2 do
        local tenant, count = ARGV[i], tonumber(ARGV[i + 1])
        change = change + count - (redis.call('HGET', counts, tenant) or 0)
        if count > 0 then
            redis.call('HSET', counts, tenant, ARGV[i + 1])
        else
            redis.call('HDEL', counts, tenant)
        end
    end
    return redis.call('INCRBY', sum, string.format('%d', change))
end
