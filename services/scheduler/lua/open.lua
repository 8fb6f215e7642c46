-- Opens a queue that was rebuilt: leases flow.
--
-- ARGV: the session; an epoch, newer than any before the session was begun; the sequence in JOBS up to which all that was
-- submitted had been enqueued before it.
-- Answers: the epoch that is current now, or 0 where the session is over.

if not goes_on(ARGV[1]) then
  return 0
end
local key = prefix .. 'epoch'
local epoch = math.max(tonumber(ARGV[2]), tonumber(redis.call('HGET', key, 'epoch') or 0) + 1)
redis.call('HSET', key, 'epoch', string.format('%d', epoch), 'run', server_run())
redis.call('HSET', key, 'applied', string.format('%d', now), 'acked', ARGV[3])
redis.call('HDEL', key, 'session', 'session_run', 'clear', 'replayed')
return epoch
