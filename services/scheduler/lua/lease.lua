-- Leases the next jobs.
--
-- ARGV: how many (at most 64); who asks; the margin beyond an attempt's timeout (ms); after how long of waiting a job has its
-- turn whatever its priority (ms); how long a finished job is remembered (ms).
-- Answers: the leases (JSON list); the facts of jobs found expired; in how many ms there may be something to lease (-1: no time
-- is known); 1 where asking again at once may give more.

local limit, worker, margin_ms = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local max_priority_delay_ms, remember_ms = tonumber(ARGV[4]), tonumber(ARGV[5])

local BROUGHT_BACK = 64 -- delayed jobs, and parked FIFOs, that one call lines up
local PASSED_OVER = 64 -- jobs without room, paused or expired, that one call meets
local AGEING_TURN = 8 -- of so many leases of a tenant, one may go by age

local limits = set_rules().limits

local function due(name)
  return redis.call('ZRANGEBYSCORE', prefix .. name, '-inf', now, 'LIMIT', 0, BROUGHT_BACK)
end

-- Lines up what has come due; answers whether there may be more of it.
local function bring_back()
  local jobs, parked = due('delayed'), due('parked')
  for _, id in ipairs(jobs) do
    come_due(load(id))
  end
  if #jobs > 0 then
    redis.call('ZREM', prefix .. 'delayed', unpack(jobs))
  end
  for _, name in ipairs(parked) do
    wake(name)
  end
  return #jobs == BROUGHT_BACK or #parked == BROUGHT_BACK
end

local pausing = redis.call('HLEN', prefix .. 'pauses') > 0

local function paused(what)
  return pausing and redis.call('HEXISTS', prefix .. 'pauses', what) == 1
end

local suspending = redis.call('EXISTS', prefix .. 'suspended') == 1

local function suspended(tenant)
  return suspending and redis.call('HEXISTS', prefix .. 'suspended', tenant) == 1
end

local holding = redis.call('EXISTS', prefix .. 'held') == 1

local function held(what)
  return holding and redis.call('HEXISTS', prefix .. 'held', what) == 1
end

-- When a scope has room for a call of this class.
local function room_of(record, whole, by_class, class)
  local at = breaker_room(record)
  each_budget(record, whole, by_class, class, function(use, budget)
    at = math.max(at, budget_room(use, budget))
  end)
  return at
end

local working = {} -- classes with work
for _, class in ipairs(CLASSES) do
  working[class] = 0
end

-- The classes that the upstream has room for; and when it has some for others.
local function open_classes()
  local open, next_at = {}, NEVER
  for _, class in ipairs(CLASSES) do
    if working[class] > 0 then
      local at = room_of(upstream_scope(), limits.upstream, limits.classes, class)
      if at == 0 then
        open[#open + 1] = class
      elseif at == NEVER then
        upstream_scope().full = true
      else
        next_at = math.min(next_at, at)
      end
    end
  end
  return open, next_at
end

local function next_tenant(open)
  local tenant, tag
  for _, class in ipairs(open) do
    local first = redis.call('ZRANGE', ring_key(class), 0, 0, 'WITHSCORES')
    if first[1] then
      local its = tonumber(first[2])
      if not tag or its < tag or (its == tag and first[1] < tenant) then
        tenant, tag = first[1], its
      end
    end
  end
  return tenant, tag
end

local function head_of(tenant, priority, class, lane)
  return redis.call('ZRANGE', fifo_key(fifo_name(tenant, priority, class, lane)), 0, 0, 'WITHSCORES')
end

local function oldest_job(tenant, open)
  local oldest, ready
  for _, class in ipairs(open) do
    local first = redis.call('ZRANGE', heads_key(tenant, class), 0, 0, 'WITHSCORES')
    if first[1] and (not ready or tonumber(first[2]) < ready) then
      local priority, lane = string.match(first[1], '^(%d):(.*)$')
      oldest, ready = { priority, class, lane }, tonumber(first[2])
    end
  end
  if ready < now - max_priority_delay_ms then
    return load(head_of(tenant, unpack(oldest))[1])
  end
end

-- The tenant's job whose turn it is: by age where that is due, else by priority, and then lane after lane.
local function next_job(tenant, open)
  local grants = tonumber(redis.call('HGET', prefix .. 'grants', tenant) or 0)
  local aged = grants % AGEING_TURN == AGEING_TURN - 1 and oldest_job(tenant, open)
  if aged then
    return aged
  end
  for priority = 1, LAST_PRIORITY do
    local id, turn, sequence
    for _, class in ipairs(open) do
      local lane = redis.call('ZRANGE', lanes_key(tenant, priority, class), 0, 0, 'WITHSCORES')
      if lane[1] and (not turn or tonumber(lane[2]) <= turn) then
        local head = head_of(tenant, priority, class, lane[1])
        if not turn or tonumber(lane[2]) < turn or tonumber(head[2]) < sequence then
          id, turn, sequence = head[1], tonumber(lane[2]), tonumber(head[2])
        end
      end
    end
    if id then
      return load(id)
    end
  end
end

-- Moves the tenant on by one service of its weight, and the lane behind the tenant's other lanes.
local function charge(job, tag)
  local weight = tonumber(redis.call('HGET', prefix .. 'weights', job.tenant) or 1)
  local turn = next_turn()
  redis.call('ZADD', turns_key(job.tenant, job.priority), turn, job.lane)
  for _, class in ipairs(CLASSES) do
    if working[class] > 0 then
      redis.call('ZADD', ring_key(class), 'XX', tag + 1 / weight, job.tenant)
      redis.call('ZADD', lanes_key(job.tenant, job.priority, class), 'XX', turn, job.lane)
    end
  end
  redis.call('HINCRBY', prefix .. 'grants', job.tenant, 1)
end

-- Gives the lease. The revision of its `started` is taken now: were the lease lost between `started` and the mark that it was
-- begun, the next lease's `started` must not have the same one. A revision may so be left out; none is used twice.
local function grant(job)
  job.epoch = current_epoch
  job.count = job.count + 1
  job.revision = job.revision + 1
  job.leased = now
  job.worker = worker
  take(job)
  save(job)
  -- An idempotent job is begun by the process that asks here, within moments; only then its attempt's time starts.
  local deadline = now + margin_ms + (job.idempotent and 0 or job.timeout)
  local started = fact(job) -- what will be true when the attempt is begun
  started.state, started.attempt = RUNNING, job.attempt + 1
  started.time, started.started, started.not_before = now, now, 0
  started.deadline, started.idempotent = deadline, job.idempotent
  return started
end

local more = bring_back()
for _, class in ipairs(CLASSES) do
  working[class] = redis.call('ZCARD', ring_key(class))
end
local open, gate_at = open_classes()
if paused('') then
  open, gate_at = {}, NEVER
end
local granted, facts, leases, taken, served, passed_over = {}, {}, {}, {}, virtual_time(), 0
while #granted < limit and passed_over < PASSED_OVER do
  local tenant, tag = next_tenant(open)
  if not tenant then
    break
  elseif paused(tenant) or suspended(tenant) then
    passed_over = passed_over + 1
    for _, class in ipairs(CLASSES) do
      deactivate(tenant, class)
    end
  else
    local job = next_job(tenant, open)
    local lane = lane_scope(job.tenant, job.lane)
    local what = tenant .. ':' .. job.lane
    local at = (paused(what) or held(what)) and NEVER or room_of(lane, limits.lane, limits.lane_classes, job.class)
    if job.expires <= now then
      passed_over = passed_over + 1
      withdraw(job)
      finish(job, EXPIRED, remember_ms)
      facts[#facts + 1] = post(job)
    elseif at > 0 then
      passed_over = passed_over + 1
      park(job, at)
    else
      served = math.max(tag, served) -- a class that was held back saves nothing up for its tenants
      charge(job, served)
      count_waiting(job, -1)
      count_ready(job, -1)
      step_out(job)
      local lease = grant(job)
      granted[#granted + 1] = lease
      taken[#taken + 1] = job.id
      leases[#leases + 1] = lease.deadline
      leases[#leases + 1] = job.id
      open, gate_at = open_classes()
    end
  end
end
if #granted > 0 then
  redis.call('SET', prefix .. 'virtual-time', served)
  redis.call('ZREMRANGEBYSCORE', prefix .. 'idle', '-inf', served) -- they say nothing any more
  redis.call('ZADD', prefix .. 'leases', unpack(leases))
  redis.call('ZREM', prefix .. 'expiry', unpack(taken))
end
local next_at = gate_at
for _, name in ipairs({ 'delayed', 'parked' }) do
  local first = redis.call('ZRANGE', prefix .. name, 0, 0, 'WITHSCORES')[2]
  if first then
    next_at = math.min(next_at, tonumber(first))
  end
end
write_all()
local again = #granted < limit and (more or passed_over == PASSED_OVER)
return {
  encode_list(granted),
  facts,
  next_at == NEVER and -1 or math.max(0, next_at - now),
  again and 1 or 0,
}
