-- What the records of ended jobs take. Beside a tenant's records there are a set and a hash of the jobs that have ended and
-- whose record is kept: `ended`, by the time in ms at which the record expires, and `sizes`, with each record's bytes and the
-- sequence in the log of the job's end (0 where the log has not shown it), and their sum. The sizes outlive the records, so
-- that what has expired is taken off to the byte.

local SUM = 'sum' -- no job's id
local KEPT_MS = 172800000 -- longer than any record of an ended job
-- Of a record beside what its fields hold: its key, its time, its places in set and hash; and of a field. Redis 6.2 took so
-- much on a 64-bit machine.
local RECORD_BYTES, FIELD_BYTES = 640, 48

local function size_of(record)
    local bytes = RECORD_BYTES
    for _, field in ipairs(redis.call('HKEYS', record)) do
        bytes = bytes + FIELD_BYTES + redis.call('HSTRLEN', record, field)
    end
    return bytes
end

-- The bytes of a job's record and the sequence of its end; nothing where it is not counted.
local function read_size(sizes, job_id)
    local bytes, sequence = string.match(redis.call('HGET', sizes, job_id) or '', '^(%d+) (%d+)$')
    return tonumber(bytes), tonumber(sequence)
end

-- Counts the record of an ended job, anew where it was counted before; `expires_at` only where that has changed.
local function count_record(record, ended, sizes, job_id, sequence, expires_at)
    local before, since = read_size(sizes, job_id)
    local bytes = size_of(record)
    redis.call('HSET', sizes, job_id, string.format('%d %d', bytes, since and since > 0 and since or sequence))
    redis.call('HINCRBY', sizes, SUM, bytes - (before or 0))
    if expires_at then
        redis.call('ZADD', ended, expires_at, job_id)
        redis.call('PEXPIRE', ended, KEPT_MS)
        redis.call('PEXPIRE', sizes, KEPT_MS)
    end
end

-- Counts it no more; answers with the bytes that it took.
local function uncount_record(ended, sizes, job_id)
    local bytes = read_size(sizes, job_id) or 0
    redis.call('HDEL', sizes, job_id)
    redis.call('HINCRBY', sizes, SUM, -bytes)
    redis.call('ZREM', ended, job_id)
    return bytes
end

local function kept_bytes(sizes)
    return tonumber(redis.call('HGET', sizes, SUM) or 0)
end
