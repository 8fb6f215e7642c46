-- Ends the claim on an idempotency key, unless the job was accepted meanwhile.
--
-- KEYS  1 the idempotency key's record

if redis.call('HEXISTS', KEYS[1], 'claim') == 1 then
    return redis.call('HSET', KEYS[1], 'claim', 0)
end
return 0
