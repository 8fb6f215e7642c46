-- Applies events of one tenant to the hot view, one after the other. Events come in any order and more than once; the newest
-- revision stands, and those before it are kept for whoever watches the job.
--
-- KEYS  1 the tenant's pending set, 2 its drain, 3 its ended jobs, 4 the sizes of their records; then for each event the job's
--       record, and the idempotency key's record (left out where there is no key)
-- ARGV  1 the servers known, 2 ms the pending set is kept; then for each event: job id, revision, the event, the job as first
--       answered (empty but in `submitted`), when the job ended, in ms since the epoch (0 where it has not), ms the record is
--       kept from now, and the job counts as pending, the id that the key stands for (empty where there is no key),
--       fingerprint, ms that are left of the key's window, the job's place in a batch (empty but in `submitted` of such a
--       job), as which the job has ended and when (empty where it has not), the event's sequence in the log (0 where that is
--       not known)
-- Answers {for each event 1 where the job has ended by it, else 0; for each event the job's place in a batch, as which it
--       ended and when, where it has both, else an empty text; the server's id where it is not known, else false}. It
--       applies the events there too: what a rebuild applies again does no harm. An end in a batch is told each time:
--       whoever was told of it first may have died.

local EVENT_ARGUMENTS = 12

local pending, drained, ended_jobs, sizes = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local server, now = stranger(ARGV[1]), read_clock()
local counts_until = {} -- by job: until when it counts as pending, false where it has ended

-- Answers with the job's place in a batch and its end, where it has both.
local function end_in_batch(record, revision, place, ending)
    if ending ~= '' then
        local known = redis.call('HMGET', record, 'batch', 'job', 'revision')
        if known[1] then
            return known[1] .. ' ' .. ending
        end
        if not known[2] and revision > tonumber(known[3] or 0) then -- whether it has a place, its submission will tell
            redis.call('HSET', record, 'end', ending)
        end
    elseif place ~= '' then
        redis.call('HSET', record, 'batch', place)
        local known = redis.call('HGET', record, 'end')
        return known and place .. ' ' .. known or ''
    end
    return ''
end

-- The log has shown a job: what its key stands for is accepted.
local function note_key(key, stands_for, fingerprint, window_ms)
    if redis.call('HGET', key, 'job') == stands_for then
        redis.call('HDEL', key, 'claim')
    elseif window_ms > 0 and redis.call('EXISTS', key) == 0 then -- it was lost
        redis.call('HSET', key, 'fingerprint', fingerprint, 'job', stands_for)
        redis.call('PEXPIRE', key, window_ms)
    end
end

-- Answers whether the job has ended by the event.
local function apply(record, job_id, revision, event, job, ended_at, keep_ms, sequence)
    local newest = redis.call('HGET', record, 'revision')
    local evicted = newest and redis.call('HEXISTS', record, 'event') == 0 -- of such a record there is a rest (`evict.lua`)
    if job ~= '' and not evicted then
        redis.call('HSET', record, 'job', job) -- what the log says is what was accepted
    end
    if newest and revision <= tonumber(newest) then
        -- Late. `submitted` is left out here and below: the record has what it left, as the job first answered.
        if revision > 1 and revision < tonumber(newest) and not evicted then
            redis.call('HSETNX', record, 'event:' .. revision, event)
        end
        if redis.call('HEXISTS', sizes, job_id) == 1 then
            count_record(record, ended_jobs, sizes, job_id, revision == tonumber(newest) and sequence or 0)
        end
        return false
    end
    if newest and tonumber(newest) > 1 and not evicted then
        -- It carries no result: only the event that ends a job does, and none comes after that one.
        redis.call('HSET', record, 'event:' .. newest, redis.call('HGET', record, 'event'))
    end
    redis.call('HSET', record, 'revision', revision, 'event', event)
    redis.call('PEXPIRE', record, keep_ms)
    counts_until[job_id] = ended_at == 0 and now + keep_ms -- counts as long as its record is kept
    if ended_at > 0 then
        count_record(record, ended_jobs, sizes, job_id, sequence, now + keep_ms)
    end
    return ended_at > 0
end

local answers, batch_ends, ends, next_key = {}, {}, 0, 5
for first = 3, #ARGV, EVENT_ARGUMENTS do
    local job_id, revision, event, job, ended_at, keep_ms, stands_for, fingerprint, window_ms, place, ending, sequence =
        unpack(ARGV, first, first + EVENT_ARGUMENTS - 1)
    local record, key = KEYS[next_key], stands_for ~= '' and KEYS[next_key + 1]
    next_key = next_key + (key and 2 or 1)
    ended_at = tonumber(ended_at)
    batch_ends[#batch_ends + 1] = end_in_batch(record, tonumber(revision), place, ending)
    if job ~= '' and key then
        note_key(key, stands_for, fingerprint, tonumber(window_ms))
    end
    local ended =
        apply(record, job_id, tonumber(revision), event, job, ended_at, tonumber(keep_ms), tonumber(sequence))
    answers[#answers + 1] = ended and 1 or 0
    if ended and now - ended_at < SLOT_MS * SLOTS then -- else it tells how fast events are caught up with, not how jobs end
        ends = ends + 1
    end
end

local count, forget = {}, {}
for job_id, score in pairs(counts_until) do
    if score then
        count[#count + 1] = score
        count[#count + 1] = job_id
    else
        forget[#forget + 1] = job_id
    end
end
if #count > 0 then
    redis.call('ZADD', pending, unpack(count))
    redis.call('PEXPIRE', pending, ARGV[2])
end
if #forget > 0 then
    redis.call('ZREM', pending, unpack(forget))
end
if ends > 0 then
    note_ends(drained, ends, now)
end
return {answers, batch_ends, server}
