-- Evicts records of a tenant's ended jobs, in the order in which they are named, until so many bytes are free. Of a record
-- stays for a while which event was its newest, so that an event that comes again is not taken for news of a job that has
-- not ended; and its place in a batch.
--
-- KEYS  1 the tenant's ended jobs, 2 the sizes of their records, then the records
-- ARGV  1 the sequence up to which history has the log: what ended later stays, 2 bytes wanted, 3 ms that the rest of a
--       record is kept, then the jobs' ids
-- Answers {bytes of those that are kept, how many were evicted}.

local ended, sizes = KEYS[1], KEYS[2]
local recorded, wanted, rest_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local STAYS = {'revision', 'batch', 'end'}

-- Made anew: a hash that was large once takes more for the same few fields.
local function keep_the_rest(record)
    local rest, left_ms = redis.call('HMGET', record, unpack(STAYS)), redis.call('PTTL', record)
    redis.call('DEL', record)
    if left_ms > 0 then
        for i, field in ipairs(STAYS) do
            if rest[i] then
                redis.call('HSET', record, field, rest[i])
            end
        end
        redis.call('PEXPIRE', record, math.min(left_ms, rest_ms))
    end
end

local freed, evicted = 0, 0
for i = 3, #KEYS do
    if freed >= wanted then
        break
    end
    local record, job_id = KEYS[i], ARGV[i + 1]
    local bytes, sequence = read_size(sizes, job_id)
    if bytes and sequence > 0 and sequence <= recorded then
        keep_the_rest(record)
        freed = freed + uncount_record(ended, sizes, job_id)
        evicted = evicted + 1
    end
end
return {kept_bytes(sizes), evicted}
