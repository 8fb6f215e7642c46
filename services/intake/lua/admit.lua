-- Admits one job: the idempotency key, the pending set and the job's record, all or none.
--
-- KEYS  1 the job's record, 2 the tenant's pending set, 3 its drain, 4 the idempotency key's record (left out where
--       there is no key)
-- ARGV  1 the servers known, 2 job id, 3 the job as first answered, 4 pending jobs allowed, 5 1 where all tenants
--       together have as many as they may have, 6 ms until a job that the log never shows stops counting as pending,
--       7 ms its record is kept, 8 ms the pending set is kept, 9 fingerprint, 10 ms of a claim, 11 ms of the key's window
-- Answers {outcome, detail, ...}: {'admitted', the record that stands, or false}, {'full' | 'closed', pending, drain},
--       {'known' | 'lapsed' | 'in_flight' | 'reused', the job id that the key stands for}, or {'stranger', the server's id}.

local record, pending, drained, key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local job_id, job, max_pending, closed = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1'

local server = stranger(ARGV[1])
if server then
    return {'stranger', server}
end
local now = read_clock()

local taken_up = false
if key then
    local known = redis.call('HMGET', key, 'fingerprint', 'job', 'claim')
    local fingerprint, known_job, claim = known[1], known[2], known[3]
    if fingerprint then
        if fingerprint ~= ARGV[9] then
            return {'reused', known_job}
        end
        if not claim then
            return {'known', known_job}
        end
        if tonumber(claim) > now then
            return {'in_flight', known_job}
        end
        -- Whoever was at it is gone, and may have published the job or not. It is only taken up under its own id, so
        -- that a job which did reach the log is found there. The caller comes again with that id: a key that a script
        -- touches has to be named before it runs.
        if known_job ~= job_id then
            return {'lapsed', known_job}
        end
        if redis.call('HEXISTS', record, 'revision') == 1 then -- the log has shown it: it counts, or has ended
            redis.call('HDEL', key, 'claim')
            return {'known', known_job}
        end
        taken_up = true
    end
end

-- What lapsed stops counting. An entry lapses where no event ever came for it, so that a publish that failed does not
-- count for ever.
redis.call('ZREMRANGEBYSCORE', pending, '-inf', now)
if not redis.call('ZSCORE', pending, job_id) then
    local count = redis.call('ZCARD', pending)
    if count >= max_pending or closed then
        return {count >= max_pending and 'full' or 'closed', count, read_ends(drained, now)}
    end
    redis.call('ZADD', pending, now + ARGV[6], job_id)
    redis.call('PEXPIRE', pending, ARGV[8])
end

if key then
    redis.call('HSET', key, 'fingerprint', ARGV[9], 'job', job_id, 'claim', now + ARGV[10])
    if not taken_up then -- the window counts from the first sight
        redis.call('PEXPIRE', key, ARGV[11])
    end
end

-- The first answer stands: its times are what the caller may have been told already.
if redis.call('HSETNX', record, 'job', job) == 1 then
    redis.call('PEXPIRE', record, ARGV[7])
    return {'admitted', false}
end
return {'admitted', redis.call('HGET', record, 'job')}
