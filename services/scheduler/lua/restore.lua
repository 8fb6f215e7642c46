-- Replays the next events of JOBS into a queue that is rebuilt. Several may do that at the same time: what was replayed is left
-- out, and nobody goes ahead of it.
--
-- ARGV: the session; the sequence in JOBS after which, and up to which, these are all of the upstream's events; the sequence up
-- to which no submission comes again; how many revisions are left out after a job's last one; the margin beyond an attempt's
-- timeout (ms); how long a finished job is remembered (ms); the jobs submitted among them (JSON list); the events (JSON list, at
-- most 64; of a submission, which of the jobs it is).
-- Answers: what came of it: `replayed`, `over` (the session has ended) or `ahead` (what lies before was not replayed); how many
-- were news.

local session, after, upto, acked = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local gap, margin_ms, remember_ms = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local jobs, events = cjson.decode(ARGV[8]), cjson.decode(ARGV[9])

if not goes_on(session) then
  return { 'over', 0 }
end
local replayed = tonumber(redis.call('HGET', prefix .. 'epoch', 'replayed') or after)
if after > replayed then
  return { 'ahead', 0 }
end

-- As an enqueue does it, but since when the job waits is told by its event.
local function restore_submitted(job, submitted_at)
  if load(job.id) then
    return false
  end
  loaded[job.id] = job
  job.ready = math.max(submitted_at, job.not_before)
  job.state, job.revision, job.attempt = QUEUED, 1 + gap, 0
  job.leased, job.epoch, job.count, job.started, job.changed = 0, 0, 0, 0, submitted_at
  job.settled, job.retried, job.worker = '', '', ''
  job.uncounted, job.in_row, job.rules = 0, 0, 0
  count_open(job, 1)
  local mark = prefix .. 'cancel:' .. job.tenant .. ':' .. job.id
  if redis.call('EXISTS', mark) == 1 then
    job.revision = 1
    finish(job, CANCELED, remember_ms)
    redis.call('DEL', mark)
    post(job)
  else
    wait(job)
    save(job)
  end
  return true
end

-- Of a job that ended long ago, and whose submission does not come again, nothing need be known.
local function memory(event)
  local job = load(event.id)
  local old = job and job.sequence <= acked and event.time < now - remember_ms
  return old and 1 or remember_ms
end

local news = 0
for _, event in ipairs(events) do
  if event.at > replayed then
    local new
    if event.job then
      new = restore_submitted(jobs[event.job], event.time)
    else
      new = apply(event, gap, margin_ms, memory(event))
    end
    news = news + (new and 1 or 0)
  end
end
write_all()
redis.call('HSET', prefix .. 'epoch', 'replayed', string.format('%d', math.max(upto, replayed)))
return { 'replayed', news }
