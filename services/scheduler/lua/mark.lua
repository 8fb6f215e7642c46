-- Notes that the queue is whole, so that a rebuild after a loss need not begin before. A note that is older than the newest
-- write makes it begin earlier than it must, and never later.
--
-- ARGV: the sequence in JOBS up to which all that was submitted had been enqueued a moment ago; empty where it was not asked for.
-- Answers: the epoch; the sequence below which every job has ended (0: all have).

redis.call('HSET', prefix .. 'epoch', 'applied', string.format('%d', now))
if ARGV[1] ~= '' then
  redis.call('HSET', prefix .. 'epoch', 'acked', ARGV[1])
end
local oldest = redis.call('ZRANGE', prefix .. 'open', 0, 0)[1]
return { current_epoch, oldest and math.max(1, tonumber(oldest) * SEQUENCES_A_BLOCK) or 0 }
