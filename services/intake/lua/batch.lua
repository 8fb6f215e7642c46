-- Notes what the log has said of a batch's jobs, in any order and any number of times.
--
-- KEYS  1 the batch's record
-- ARGV  1 ms the record is kept while a job of it has not ended, 2 the same from the last end on, then as often as there is
--       something to note six: either 'submitted', the job's index, its id, how many jobs the batch has, when it was made
--       (us since the epoch) and whom to tell of its end (the last two count only for the first job), or 'ended', the job's
--       index, the state it ended in, when (ms since the epoch), and two that are empty
-- Answers the record where all of its jobs have ended and are known, else false.

local record = KEYS[1]
for i = 3, #ARGV, 6 do
    local what, index = ARGV[i], ARGV[i + 1]
    if what == 'submitted' then
        redis.call('HSET', record, 'job:' .. index, ARGV[i + 2], 'size', ARGV[i + 3])
        if index == '0' then
            redis.call('HSET', record, 'made_at', ARGV[i + 4], 'callback', ARGV[i + 5])
        end
    else
        redis.call('HSET', record, 'end:' .. index, ARGV[i + 2])
        if tonumber(ARGV[i + 3]) > tonumber(redis.call('HGET', record, 'ended_at') or 0) then
            redis.call('HSET', record, 'ended_at', ARGV[i + 3])
        end
    end
end
local size = redis.call('HGET', record, 'size')
if size and redis.call('HLEN', record) == 2 * size + 4 then -- size, made_at, callback, ended_at, and two of each job
    redis.call('PEXPIRE', record, ARGV[2])
    return redis.call('HGETALL', record)
end
redis.call('PEXPIRE', record, ARGV[1])
return false
