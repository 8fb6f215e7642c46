-- Notes that a key's job is in the log. Not where the key stands for another job by now, as after a loss of the record: that
-- one may never get there.
--
-- KEYS  1 the idempotency key's record
-- ARGV  1 job id

if redis.call('HGET', KEYS[1], 'job') == ARGV[1] then
    return redis.call('HDEL', KEYS[1], 'claim')
end
return 0
