-- Erases jobs of a tenant: their records, and where these are counted.
--
-- KEYS  1 the tenant's pending set, 2 its ended jobs, 3 the sizes of their records, then the jobs' records
-- ARGV  the jobs' ids
-- Answers how many records there were.

local pending, ended, sizes = KEYS[1], KEYS[2], KEYS[3]
local erased = 0
for i, job_id in ipairs(ARGV) do
    uncount_record(ended, sizes, job_id)
    redis.call('ZREM', pending, job_id)
    erased = erased + redis.call('DEL', KEYS[3 + i])
end
return erased
