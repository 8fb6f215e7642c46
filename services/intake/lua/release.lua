-- Gives up a job that could not be published, as far as anyone knows: ends the claim on its idempotency key, unless the
-- job was accepted meanwhile or the key stands for another one by now, and counts it no more. Was it published after all,
-- its event counts it again.
--
-- KEYS  1 the job's record, 2 the tenant's pending set, 3 the idempotency key's record (left out where there is no key)
-- ARGV  1 job id

if redis.call('HEXISTS', KEYS[1], 'revision') == 0 then
    redis.call('ZREM', KEYS[2], ARGV[1])
end
if KEYS[3] and redis.call('HGET', KEYS[3], 'job') == ARGV[1] and redis.call('HEXISTS', KEYS[3], 'claim') == 1 then
    return redis.call('HSET', KEYS[3], 'claim', 0)
end
return 0
