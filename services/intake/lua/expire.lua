-- Takes off what the records of a tenant's ended jobs took that have expired.
--
-- KEYS  1 the tenant's ended jobs, 2 the sizes of their records
-- ARGV  1 how many at most
-- Answers {bytes of those that are kept, how many were taken off}.

local ended, sizes = KEYS[1], KEYS[2]
local expired = redis.call('ZRANGEBYSCORE', ended, '-inf', read_clock(), 'LIMIT', 0, ARGV[1])
for _, job_id in ipairs(expired) do
    uncount_record(ended, sizes, job_id)
end
return {kept_bytes(sizes), #expired}
