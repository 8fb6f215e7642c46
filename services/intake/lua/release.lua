-- Gives up jobs that could not be published, as far as anyone knows: ends the claim on their idempotency key, unless they
-- were accepted meanwhile, and counts them no more. Were they published after all, their events count them again.
--
-- KEYS  1 the tenant's pending set, then each job's record, then the idempotency key's record (left out where there is none)
-- ARGV  the jobs' ids

for number, job_id in ipairs(ARGV) do
    if redis.call('HEXISTS', KEYS[number + 1], 'revision') == 0 then
        redis.call('ZREM', KEYS[1], job_id)
    end
end
local key = KEYS[#ARGV + 2]
if key and redis.call('HEXISTS', key, 'claim') == 1 then
    return redis.call('HSET', key, 'claim', 0)
end
return 0
