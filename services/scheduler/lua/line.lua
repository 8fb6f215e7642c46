-- What becomes of a job: it waits, is leased, comes back, ends.
--
--   delayed     jobs that may be leased later, by when
--   expiry      jobs that wait to be leased, by when they expire
--   leases      leased jobs, by the lease's deadline
--   canceling   jobs that were canceled while they ran, and whose attempts have not come out

local DRAIN_WINDOW_MS = 60 * 1000

local room = false -- whether somebody who waits for leases may be served now

-- Lines up a job whose time has come.
local function come_due(job)
  count_delayed(job, -1)
  count_ready(job, 1)
  line_up(job)
end

-- Has a job wait to be leased from the time `ready` on.
local function wait(job)
  redis.call('ZADD', prefix .. 'expiry', job.expires, job.id)
  count_waiting(job, 1)
  if job.ready > now then
    count_delayed(job, 1)
    redis.call('ZADD', prefix .. 'delayed', job.ready, job.id)
  else
    count_ready(job, 1)
    line_up(job)
  end
end

-- Takes a job out of wherever it waits.
local function withdraw(job)
  redis.call('ZREM', prefix .. 'expiry', job.id)
  count_waiting(job, -1)
  if redis.call('ZREM', prefix .. 'delayed', job.id) == 1 then
    count_delayed(job, -1)
  else
    count_ready(job, -1)
    step_out(job)
  end
end

-- Counts a lease in every scope that it belongs to.
local function take(job)
  local limits = set_rules().limits
  local function count(use, budget)
    take_use(use, budget)
  end
  each_budget(upstream_scope(), limits.upstream, limits.classes, job.class, count)
  each_budget(lane_scope(job.tenant, job.lane), limits.lane, limits.lane_classes, job.class, count)
  note_probe(upstream_scope(), job)
  note_probe(lane_scope(job.tenant, job.lane), job)
  count_leased(job, 1)
  job.rules = set_rules().version
end

local was_full = {} -- by class: whether the upstream had no room when something was given back first

local function note_full(class, whole, by_class)
  if was_full[class] == nil then
    was_full[class] = false
    each_budget(upstream_scope(), whole, by_class, class, function(use, budget)
      was_full[class] = was_full[class] or budget_room(use, budget) > 0
    end)
  end
  room = room or was_full[class]
end

-- Gives back what a lease has taken that is not given back by its end: no call went out. Under other rules than those of the
-- lease nobody knows in which histories it stands, and it goes on to count.
local function give_back(job)
  local limits = set_rules().limits
  local known = job.rules == set_rules().version
  local function give(use, budget)
    give_back_use(use, known and budget, job.leased)
  end
  note_full(job.class, limits.upstream, limits.classes)
  each_budget(upstream_scope(), limits.upstream, limits.classes, job.class, give)
  each_budget(lane_scope(job.tenant, job.lane), limits.lane, limits.lane_classes, job.class, give)
end

-- Gives back what a lease has held; answers whether it was the upstream's probe, and the lane's.
local function release(job)
  local upstream, lane = upstream_scope(), lane_scope(job.tenant, job.lane)
  for _, record in ipairs({ upstream, lane }) do
    for _, class in ipairs({ ALL, job.class }) do
      local use = use_of(record, class)
      use.running = math.max(0, use.running - 1)
    end
  end
  local upstream_probed, lane_probed = end_probe(upstream, job), end_probe(lane, job)
  if upstream.full then
    upstream.full = nil
    room = true
  end
  if lane.parked then
    lane.parked = nil
    room = wake_lane(job.tenant, job.lane) or room
  end
  redis.call('ZREM', prefix .. 'leases', job.id)
  count_leased(job, -1)
  job.leased = 0
  return upstream_probed, lane_probed
end

-- Puts the job back for another attempt after the pause; its lease is over.
local function retry(job, pause_ms)
  enter(job, RETRYING)
  job.ready = now + pause_ms
  wait(job)
end

-- Ends a job that waits no more; its record is remembered so that nothing old starts it again.
local function finish(job, state, remember_ms)
  enter(job, state)
  count_open(job, -1)
  local upstream = upstream_scope()
  upstream.ended = upstream.ended or {}
  note(upstream.ended, DRAIN_WINDOW_MS, COARSE_SUBWINDOWS, 1)
  redis.call('SET', record_key(job.id), pack_record(job), 'PX', remember_ms)
end

-- Gives back the lease of a job that was canceled while it ran.
local function give_up_canceled(job)
  release(job)
  redis.call('ZREM', prefix .. 'canceling', job.id)
  redis.call('SET', record_key(job.id), pack_record(job), 'KEEPTTL')
end

-- Writes what the script has counted; the last thing that it does.
local function write_all()
  write_scopes()
  write_counts()
end
