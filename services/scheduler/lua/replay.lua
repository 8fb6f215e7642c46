-- What events of the log of jobs mean for a queue that has lost them.

local clock_time = now

-- Does something as if it were done at that time: calls and ends count when they were.
local function at(time, act, ...)
  now = time
  act(...)
  now = clock_time
end

-- Takes a job out of wherever it is.
local function take_out(job, unspent)
  if job.leased > 0 then
    if unspent then
      give_back(job)
    end
    release(job)
  else
    withdraw(job)
  end
end

local function put_fence(job, event)
  if event.epoch > 0 then
    job.epoch, job.count = event.epoch, event.count
  end
  job.settled = event.settles and fence_of(job) or ''
end

local restore = {}

-- The attempt may be under way still: its worker can report under the fence that it has. If it does not, the lease runs out.
restore[RUNNING] = function(job, event, gap, margin_ms)
  if not holds(job, event.epoch, event.count) then
    take_out(job)
    job.epoch, job.count, job.worker = event.epoch, event.count, ''
    job.leased = event.time
    at(event.time, take, job)
  end
  job.state = RUNNING
  job.revision = event.revision + gap
  redis.call('ZADD', prefix .. 'leases', now + job.timeout + margin_ms, job.id)
  save(job)
end

restore[RETRYING] = function(job, event, gap)
  take_out(job, event.unspent)
  if event.spared then
    job.in_row = job.in_row + 1
  elseif event.revision > job.revision then -- it is not the same event once more
    job.in_row = 0
  end
  put_fence(job, event)
  job.state, job.ready = RETRYING, math.max(event.not_before, event.time)
  job.revision = event.revision
  job.retried = event.settles and cjson.encode(fact(job)) or ''
  job.revision = event.revision + gap
  wait(job)
  save(job)
end

local function restore_end(job, event, remember_ms)
  take_out(job, event.unspent)
  put_fence(job, event)
  job.retried = ''
  job.revision = event.revision - 1 -- the end takes the next one
  at(event.time, finish, job, event.state, remember_ms)
end

-- Applies an event that is newer than what the queue has; answers whether it was. Of a job that is not known nothing but its
-- submission is news: it has ended, or the rebuild had begun later.
--
-- A job that goes on leaves out `gap` revisions after its event's: one `started` more may have been on its way, under a lease
-- that was lost, and the next one's must not have the same number.
local function apply(event, gap, margin_ms, remember_ms)
  local job = load(event.id)
  if not job or is_over(job) or event.revision < job.revision then
    return false
  end
  event.spared = event.uncounted > job.uncounted
  event.unspent = event.from_cache or (event.spared and not event.answered)
  job.attempt, job.uncounted, job.started, job.changed = event.attempt, event.uncounted, event.started, event.time
  if restore[event.state] then
    restore[event.state](job, event, gap, margin_ms)
  else
    restore_end(job, event, remember_ms)
  end
  return true
end
