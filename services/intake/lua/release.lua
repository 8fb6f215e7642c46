-- Gives up jobs that could not be published, as far as anyone knows: ends the claim on their idempotency key, unless they
-- were accepted meanwhile or the key stands for something else by now, and counts them no more. Were they published after
-- all, their events count them again.
--
-- KEYS  1 the tenant's pending set, then each job's record, then the idempotency key's record (left out where there is none)
-- ARGV  1 the id of the job or batch, then the jobs' ids

for number = 2, #ARGV do
    if redis.call('HEXISTS', KEYS[number], 'revision') == 0 then
        redis.call('ZREM', KEYS[1], ARGV[number])
    end
end
local key = KEYS[#ARGV + 1]
if key and redis.call('HGET', key, 'job') == ARGV[1] and redis.call('HEXISTS', key, 'claim') == 1 then
    return redis.call('HSET', key, 'claim', 0)
end
return 0
