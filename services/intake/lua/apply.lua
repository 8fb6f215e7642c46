-- Applies one event to the hot view. Events come in any order and more than once; the newest revision stands, and those
-- before it are kept for whoever watches the job.
--
-- KEYS  1 the job's record, 2 the tenant's pending set, 3 its drain, 4 the idempotency key's record (left out where
--       there is no key)
-- ARGV  1 the servers known, 2 job id, 3 revision, 4 the event, 5 the job as first answered (empty but in `submitted`),
--       6 when the job ended, in ms since the epoch (0 where it has not), 7 ms the record is kept from now, and the job
--       counts as pending, 8 ms the pending set is kept, 9 fingerprint, 10 ms that are left of the key's window, 11 what
--       the key stands for, 12 the job's place in a batch (empty but in `submitted` of such a job), 13 as which the job
--       has ended and when, in ms since the epoch (empty where it has not)
-- Answers {1 where the job has ended by this event, else 0, the server's id where it is not known, else false, its place in
--       a batch, as which it ended and when, where it has both, else false}. It applies the event on a server that is not known
--       too: what a rebuild applies again does no harm. Its end in a batch is told each time: whoever was told it first may
--       have died.

local record, pending, drained, key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local job_id, revision, job, ended_at, keep_ms = ARGV[2], tonumber(ARGV[3]), ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local place, ending = ARGV[12], ARGV[13]
local server = stranger(ARGV[1])

-- Its place in a batch and its end, where it has both.
local ended_in = false
if ending ~= '' then
    local known = redis.call('HMGET', record, 'batch', 'job')
    if known[1] then
        ended_in = known[1] .. ' ' .. ending
    elseif not known[2] then -- whether it has a place, its submission will tell
        redis.call('HSET', record, 'end', ending)
    end
elseif place ~= '' then
    redis.call('HSET', record, 'batch', place)
    local known = redis.call('HGET', record, 'end')
    ended_in = known and place .. ' ' .. known
end

if job ~= '' then
    redis.call('HSET', record, 'job', job) -- what the log says is what was accepted
    if key then
        if redis.call('HGET', key, 'job') == ARGV[11] then
            redis.call('HDEL', key, 'claim') -- the log has shown the job: it is accepted
        elseif tonumber(ARGV[10]) > 0 and redis.call('EXISTS', key) == 0 then -- it was lost
            redis.call('HSET', key, 'fingerprint', ARGV[9], 'job', ARGV[11])
            redis.call('PEXPIRE', key, ARGV[10])
        end
    end
end

local newest = redis.call('HGET', record, 'revision')
if newest and revision <= tonumber(newest) then
    -- Late. `submitted` is left out here and below: the record has what it left, as the job first answered.
    if revision > 1 and revision < tonumber(newest) then
        redis.call('HSETNX', record, 'event:' .. ARGV[3], ARGV[4])
    end
    return {0, server, ended_in}
end
if newest and tonumber(newest) > 1 then
    -- It carries no result: only the event that ends a job does, and none comes after that one.
    redis.call('HSET', record, 'event:' .. newest, redis.call('HGET', record, 'event'))
end
redis.call('HSET', record, 'revision', revision, 'event', ARGV[4])
redis.call('PEXPIRE', record, keep_ms)
local now = read_clock()
if ended_at == 0 then
    redis.call('ZADD', pending, now + keep_ms, job_id) -- counts as long as its record is kept
    redis.call('PEXPIRE', pending, ARGV[8])
    return {0, server, ended_in}
end
redis.call('ZREM', pending, job_id)
if now - ended_at < SLOT_MS * SLOTS then -- else it tells how fast events are caught up with, not how fast jobs end
    note_ends(drained, 1, now)
end
return {1, server, ended_in}
