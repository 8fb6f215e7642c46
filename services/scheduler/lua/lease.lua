-- Leases the next jobs.
--
-- ARGV: how many (at most 64); who asks; the margin beyond an attempt's timeout (ms); after how long of waiting a job has its
-- turn whatever its priority (ms); how long a finished job is remembered (ms).
-- Answers: the leases (JSON list); the facts of jobs found expired; in how many ms a delayed job is due (-1: none is known
-- of); 1 where asking again at once may give more.

local limit, worker, margin_ms = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local max_priority_delay_ms, remember_ms = tonumber(ARGV[4]), tonumber(ARGV[5])

local PROMOTED = 64 -- delayed jobs that one call lines up
local EXPIRED_AT_MOST = 64 -- jobs that one call finds expired: the sweep ends most of them before
local AGEING_TURN = 8 -- of so many leases of a tenant, one may go by age

local function promote()
  local due = redis.call('ZRANGEBYSCORE', prefix .. 'delayed', '-inf', now, 'LIMIT', 0, PROMOTED)
  for _, id in ipairs(due) do
    line_up(load(id))
  end
  if #due > 0 then
    redis.call('ZREM', prefix .. 'delayed', unpack(due))
  end
  return #due
end

-- The first job of a lane's FIFOs of one priority: the one accepted first.
local function first_of_lane(tenant, priority, lane)
  local first, least
  for _, class in ipairs(CLASSES) do
    local head = redis.call('ZRANGE', fifo_key(tenant, fifo_name(priority, class, lane)), 0, 0, 'WITHSCORES')
    if head[1] and (not least or tonumber(head[2]) < least) then
      first, least = head[1], tonumber(head[2])
    end
  end
  return first
end

-- The tenant's job whose turn it is: by age where that is due, else by priority, and then lane after lane.
local function next_job(tenant)
  local grants = tonumber(redis.call('HGET', prefix .. 'grants', tenant) or 0)
  if grants % AGEING_TURN == AGEING_TURN - 1 then
    local oldest = redis.call('ZRANGE', prefix .. 'heads:' .. tenant, 0, 0, 'WITHSCORES')
    if tonumber(oldest[2]) < now - max_priority_delay_ms then
      return load(redis.call('ZRANGE', fifo_key(tenant, oldest[1]), 0, 0)[1])
    end
  end
  for priority = 1, LAST_PRIORITY do
    local lane = redis.call('ZRANGE', lanes_key(tenant, priority), 0, 0)[1]
    if lane then
      return load(first_of_lane(tenant, priority, lane))
    end
  end
end

local function epoch()
  redis.call('SET', prefix .. 'epoch', 1, 'NX')
  return tonumber(redis.call('GET', prefix .. 'epoch'))
end

-- Moves the tenant on by one service of its weight, and the lane behind the tenant's other lanes.
local function charge(job, tag)
  local weight = tonumber(redis.call('HGET', prefix .. 'weights', job.tenant) or 1)
  redis.call('ZADD', prefix .. 'ring', tag + 1 / weight, job.tenant)
  redis.call('HINCRBY', prefix .. 'grants', job.tenant, 1)
  redis.call('ZADD', lanes_key(job.tenant, job.priority), next_turn(), job.lane)
end

-- Gives the lease. The revision of its `started` is taken now: were the lease lost between `started` and the mark that it was
-- begun, the next lease's `started` must not have the same one. A revision may so be left out; none is used twice.
local function grant(job, current_epoch)
  job.epoch = current_epoch
  job.count = job.count + 1
  job.revision = job.revision + 1
  job.leased = now
  job.worker = worker
  save(job)
  -- An idempotent job is begun by the process that asks here, within moments; only then its attempt's time starts.
  local deadline = now + margin_ms + (job.idempotent and 0 or job.timeout)
  local started = fact(job) -- what will be true when the attempt is begun
  started.state, started.attempt = RUNNING, job.attempt + 1
  started.time, started.started, started.not_before = now, now, 0
  started.deadline, started.idempotent = deadline, job.idempotent
  return started
end

local promoted = promote()
local granted, facts, leases, taken, served = {}, {}, {}, {}, nil
local current_epoch = epoch()
while #granted < limit and #facts < EXPIRED_AT_MOST do
  local first = redis.call('ZRANGE', prefix .. 'ring', 0, 0, 'WITHSCORES')
  if not first[1] then
    break
  end
  local job = next_job(first[1])
  if job.expires <= now then
    withdraw(job)
    finish(job, EXPIRED, remember_ms)
    facts[#facts + 1] = post(job)
  else
    served = tonumber(first[2])
    charge(job, served)
    step_out(job)
    local lease = grant(job, current_epoch)
    granted[#granted + 1] = lease
    taken[#taken + 1] = job.id
    leases[#leases + 1] = lease.deadline
    leases[#leases + 1] = job.id
  end
end
if #granted > 0 then
  redis.call('SET', prefix .. 'virtual-time', served)
  redis.call('ZREMRANGEBYSCORE', prefix .. 'idle', '-inf', served) -- they say nothing any more
  redis.call('ZADD', prefix .. 'leases', unpack(leases))
  redis.call('ZREM', prefix .. 'expiry', unpack(taken))
end
local due = redis.call('ZRANGE', prefix .. 'delayed', 0, 0, 'WITHSCORES')
local next_due_ms = due[2] and math.max(0, tonumber(due[2]) - now) or -1
local again = #granted < limit and (promoted == PROMOTED or #facts == EXPIRED_AT_MOST)
return { encode_list(granted), facts, next_due_ms, again and 1 or 0 }
