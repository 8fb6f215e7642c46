-- Admits one job or a batch of them, all or none: the idempotency key, the pending set and the jobs' records.
--
-- KEYS  1 the tenant's pending set, 2 its drain, then the record of each job, then the batch's record (left out where there
--       is no batch), then the idempotency key's record (left out where there is no key)
-- ARGV  1 the servers known, 2 the id of the job or batch, 3 how many jobs, 4 pending jobs allowed, 5 1 where all tenants
--       together have as many as they may have, 6 ms until a job that the log never shows stops counting as pending,
--       7 ms its record is kept, 8 ms the pending set is kept, 9 fingerprint, 10 ms of a claim, 11 ms of the key's window,
--       12 1 where it is a batch, then of each job its id and the job as first answered
-- Answers {outcome, detail, ...}: {'admitted', of each job the record that stands, or false}, {'full' | 'closed', pending,
--       drain}, {'known' | 'lapsed' | 'in_flight' | 'reused', the id that the key stands for}, or {'stranger', the
--       server's id}.

local pending, drained, id, size = KEYS[1], KEYS[2], ARGV[2], tonumber(ARGV[3])
local max_pending, closed = tonumber(ARGV[4]), ARGV[5] == '1'
local RECORDS, JOBS = 2, 12 -- what stands before them in KEYS and ARGV
local batch = ARGV[12] == '1' and KEYS[RECORDS + size + 1]
local key = KEYS[RECORDS + size + (batch and 2 or 1)]

local function job_id(number) return ARGV[JOBS + 2 * number - 1] end
local function job(number) return ARGV[JOBS + 2 * number] end

local server = stranger(ARGV[1])
if server then
    return {'stranger', server}
end
local now = read_clock()

local taken_up = false
if key then
    local known = redis.call('HMGET', key, 'fingerprint', 'job', 'claim')
    local fingerprint, known_id, claim = known[1], known[2], known[3]
    if fingerprint then
        if fingerprint ~= ARGV[9] then
            return {'reused', known_id}
        end
        if not claim then
            return {'known', known_id}
        end
        if tonumber(claim) > now then
            return {'in_flight', known_id}
        end
        -- Whoever was at it is gone, and may have published it or not. It is only taken up under its own id, so that what
        -- did reach the log is found there. The caller comes again with that id: a key that a script touches has to be
        -- named before it runs.
        if known_id ~= id then
            return {'lapsed', known_id}
        end
        -- The log has shown it: it counts, or has ended. A batch is in the log as a whole, or not at all.
        for number = 1, size do
            if redis.call('HEXISTS', KEYS[RECORDS + number], 'revision') == 1 then
                redis.call('HDEL', key, 'claim')
                return {'known', known_id}
            end
        end
        taken_up = true
    end
end

-- What lapsed stops counting. An entry lapses where no event ever came for it, so that a publish that failed does not
-- count for ever.
redis.call('ZREMRANGEBYSCORE', pending, '-inf', now)
local new = {}
for number = 1, size do
    if not redis.call('ZSCORE', pending, job_id(number)) then
        new[#new + 1] = job_id(number)
    end
end
if #new > 0 then
    local count = redis.call('ZCARD', pending)
    if count + #new > max_pending or closed then
        return {count + #new > max_pending and 'full' or 'closed', count, read_ends(drained, now)}
    end
    for _, each in ipairs(new) do
        redis.call('ZADD', pending, now + ARGV[6], each)
    end
    redis.call('PEXPIRE', pending, ARGV[8])
end

if key then
    redis.call('HSET', key, 'fingerprint', ARGV[9], 'job', id, 'claim', now + ARGV[10])
    if not taken_up then -- the window counts from the first sight
        redis.call('PEXPIRE', key, ARGV[11])
    end
end

-- The first answer stands: its times are what the caller may have been told already.
local standing = {}
for number = 1, size do
    local record = KEYS[RECORDS + number]
    if redis.call('HSETNX', record, 'job', job(number)) == 1 then
        redis.call('PEXPIRE', record, ARGV[7])
        standing[number] = false
    else
        standing[number] = redis.call('HGET', record, 'job')
    end
    if batch then
        redis.call('HSET', record, 'batch', id .. ' ' .. number - 1)
        redis.call('HSET', batch, 'job:' .. number - 1, job_id(number))
    end
end
if batch then
    redis.call('HSET', batch, 'size', size)
    redis.call('PEXPIRE', batch, ARGV[7])
end
return {'admitted', standing}
