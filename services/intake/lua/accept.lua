-- Notes that what a key stands for is in the log. Not where it stands for something else by now, as after a loss of the
-- record: that may never get there.
--
-- KEYS  1 the idempotency key's record
-- ARGV  1 the id of the job or batch

if redis.call('HGET', KEYS[1], 'job') == ARGV[1] then
    return redis.call('HDEL', KEYS[1], 'claim')
end
return 0
