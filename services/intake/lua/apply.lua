-- Applies one event to the hot view. Events come in any order and more than once; the newest revision stands, and those
-- before it are kept for whoever watches the job.
--
-- KEYS  1 the job's record, 2 the tenant's pending set, 3 its drain, 4 its ended jobs, 5 the sizes of their records, 6 the
--       idempotency key's record (left out where there is no key)
-- ARGV  1 the servers known, 2 job id, 3 revision, 4 the event, 5 the job as first answered (empty but in `submitted`),
--       6 when the job ended, in ms since the epoch (0 where it has not), 7 ms the record is kept from now, and the job
--       counts as pending, 8 ms the pending set is kept, 9 fingerprint, 10 ms that are left of the key's window, 11 the
--       event's sequence in the log (0 where that is not known)
-- Answers {1 where the job has ended by this event, else 0, the server's id where it is not known, else false}. It
--       applies the event there too: what a rebuild applies again does no harm.

local record, pending, drained, ended, sizes, key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local job_id, revision, job, ended_at, keep_ms = ARGV[2], tonumber(ARGV[3]), ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local server, sequence = stranger(ARGV[1]), tonumber(ARGV[11])
local newest = redis.call('HGET', record, 'revision')
local evicted = newest and redis.call('HEXISTS', record, 'event') == 0 -- of such a record there is a rest (`evict.lua`)

if job ~= '' then
    if not evicted then
        redis.call('HSET', record, 'job', job) -- what the log says is what was accepted
    end
    if key then
        if redis.call('HGET', key, 'job') == job_id then
            redis.call('HDEL', key, 'claim') -- the log has shown the job: it is accepted
        elseif tonumber(ARGV[10]) > 0 and redis.call('EXISTS', key) == 0 then -- it was lost
            redis.call('HSET', key, 'fingerprint', ARGV[9], 'job', job_id)
            redis.call('PEXPIRE', key, ARGV[10])
        end
    end
end

if newest and revision <= tonumber(newest) then
    -- Late. `submitted` is left out here and below: the record has what it left, as the job first answered.
    if revision > 1 and revision < tonumber(newest) and not evicted then
        redis.call('HSETNX', record, 'event:' .. ARGV[3], ARGV[4])
    end
    if redis.call('HEXISTS', sizes, job_id) == 1 then
        count_record(record, ended, sizes, job_id, revision == tonumber(newest) and sequence or 0)
    end
    return {0, server}
end
if newest and tonumber(newest) > 1 and not evicted then
    -- It carries no result: only the event that ends a job does, and none comes after that one.
    redis.call('HSET', record, 'event:' .. newest, redis.call('HGET', record, 'event'))
end
redis.call('HSET', record, 'revision', revision, 'event', ARGV[4])
redis.call('PEXPIRE', record, keep_ms)
local now = read_clock()
if ended_at == 0 then
    redis.call('ZADD', pending, now + keep_ms, job_id) -- counts as long as its record is kept
    redis.call('PEXPIRE', pending, ARGV[8])
    return {0, server}
end
redis.call('ZREM', pending, job_id)
count_record(record, ended, sizes, job_id, sequence, now + keep_ms)
if now - ended_at < SLOT_MS * SLOTS then -- else it tells how fast events are caught up with, not how fast jobs end
    note_ends(drained, 1, now)
end
return {1, server}
