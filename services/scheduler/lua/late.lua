-- Applies ends of jobs that were published after their queue had been rebuilt without them: by a process that made them before
-- the loss. What is in the log has happened.
--
-- ARGV: the epoch since which the queue is open; how long a finished job is remembered (ms); the events (JSON list, at most 64).
-- Answers: how many were news.

local epoch, remember_ms = tonumber(ARGV[1]), tonumber(ARGV[2])

local news = 0
for _, event in ipairs(epoch == current_epoch and cjson.decode(ARGV[3]) or {}) do
  local job = load(event.id)
  if job then
    event.revision = math.max(event.revision, job.revision + 1) -- the job may have gone on meanwhile
    news = news + (apply(event, 0, 0, remember_ms) and 1 or 0)
  end
end
write_all()
return news
