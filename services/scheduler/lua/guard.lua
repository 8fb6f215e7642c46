-- Refuses to work on a queue that may have lost its last writes: the server was started anew or another one took over, or the
-- queue is not there. A server's run id is one of its process, so that the first script after a loss notices it, whoever runs it.
--
--   epoch      epoch        grows with every rebuild of the queue from JOBS; the first part of every fence
--              run          the run id of the server under which the queue was opened
--              applied      when the queue was known to be whole last; a write that was lost is a later one
--              acked        the sequence in JOBS up to which all that was submitted had been enqueued then
--              session, session_run, clear, replayed   while it is rebuilt; see recover.lua

local guard = redis.call('HMGET', prefix .. 'epoch', 'epoch', 'run')
if not guard[2] or guard[2] ~= string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') then
  return redis.error_reply('RECOVER the queue has to be rebuilt from the log of jobs')
end
local current_epoch = tonumber(guard[1])
