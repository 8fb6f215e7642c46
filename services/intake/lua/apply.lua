-- Applies one event to the hot view. Events come in any order and more than once; the newest revision stands, and those
-- before it are kept for whoever watches the job.
--
-- KEYS  1 the job's record, 2 the tenant's pending set, 3 the idempotency key's record (left out where there is no key)
-- ARGV  1 job id, 2 revision, 3 the event, 4 the job as first answered (empty but in `submitted`), 5 1 where the job
--       has ended, 6 ms the record is kept from now, 7 fingerprint, 8 ms that are left of the key's window

local record, pending, key = KEYS[1], KEYS[2], KEYS[3]
local job_id, revision, job, ended, keep_ms = ARGV[1], tonumber(ARGV[2]), ARGV[4], ARGV[5] == '1', tonumber(ARGV[6])

if job ~= '' then
    redis.call('HSET', record, 'job', job)  -- what the log says is what was accepted
    if key then
        if redis.call('HGET', key, 'job') == job_id then
            redis.call('HDEL', key, 'claim')  -- the log has shown the job: it is accepted
        elseif tonumber(ARGV[8]) > 0 and redis.call('EXISTS', key) == 0 then  -- it was lost
            redis.call('HSET', key, 'fingerprint', ARGV[7], 'job', job_id)
            redis.call('PEXPIRE', key, ARGV[8])
        end
    end
end

local newest = redis.call('HGET', record, 'revision')
if newest and revision <= tonumber(newest) then
    -- Late. `submitted` is left out here and below: the record has what it left, as the job first answered.
    if revision > 1 and revision < tonumber(newest) then
        redis.call('HSETNX', record, 'event:' .. ARGV[2], ARGV[3])
    end
    return 0
end
if newest and tonumber(newest) > 1 then
    -- It carries no result: only the event that ends a job does, and none comes after that one.
    redis.call('HSET', record, 'event:' .. newest, redis.call('HGET', record, 'event'))
end
redis.call('HSET', record, 'revision', revision, 'event', ARGV[3])
redis.call('PEXPIRE', record, keep_ms)
if ended then
    redis.call('ZREM', pending, job_id)
else
    local time = redis.call('TIME')
    redis.call('ZADD', pending, time[1] * 1000 + keep_ms, job_id)  -- counts as long as its record is kept
    redis.call('PEXPIRE', pending, keep_ms)
end
return 1
