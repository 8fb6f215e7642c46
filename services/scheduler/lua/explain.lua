-- Says why a job waits.
--
-- ARGV: the job's id; its tenant.
-- Answers: an explanation (JSON), or nothing where the tenant has no such job here.

local job = load(ARGV[1])
if not job or job.tenant ~= ARGV[2] then
  return false
end

local holds = {}

local function hold(kind, scope_name, free_at, limit, window, text)
  holds[#holds + 1] = {
    kind = kind, scope = scope_name, ['until'] = free_at, limit = limit or 0, window = window or 0, text = text or '',
  }
end

local function hold_by_suspension(key, what, kind, scope_name)
  local found = redis.call('HGET', prefix .. key, what)
  if found then
    hold(kind, scope_name, 0, 0, 0, cjson.decode(found).reason)
  end
end

local function hold_by_pauses()
  local names = { 'upstream', 'tenant', 'lane' }
  local found = redis.call('HMGET', prefix .. 'pauses', '', job.tenant, job.tenant .. ':' .. job.lane)
  for position, name in ipairs(names) do
    if found[position] then
      hold('paused', name, 0, 0, 0, cjson.decode(found[position]).reason)
    end
  end
end

local function hold_by_scope(name, record, whole, by_class)
  local breaker_at = breaker_room(record)
  if breaker_at > 0 then
    hold('breaker', name, breaker_at == NEVER and 0 or breaker_at, 0, 0, record.breaker.cause)
  end
  each_budget(record, whole, by_class, job.class, function(use, budget, class)
    budget_room(use, budget, function(kind, free_at, limit, window)
      hold(kind, class == ALL and name or name .. ':' .. class, free_at, limit, window)
    end)
  end)
end

local waits = not is_over(job) and job.leased == 0
if waits then
  if job.ready > now then
    hold('not_before', 'job', job.ready)
  end
  hold_by_suspension('suspended', job.tenant, 'suspended', 'tenant')
  hold_by_suspension('held', job.tenant .. ':' .. job.lane, 'needs_reauth', 'lane')
  hold_by_pauses()
  local limits = set_rules().limits
  hold_by_scope('upstream', upstream_scope(), limits.upstream, limits.classes)
  hold_by_scope('lane', lane_scope(job.tenant, job.lane), limits.lane, limits.lane_classes)
end

-- The tenant's part of the weights of all tenants with jobs that wait.
local function share()
  local total, own = redis.call('ZCARD', prefix .. 'tenants'), 1
  local weights = redis.call('HGETALL', prefix .. 'weights')
  for position = 1, #weights, 2 do
    local weight = tonumber(weights[position + 1])
    if weights[position] == job.tenant then
      own = weight
    end
    if redis.call('ZSCORE', prefix .. 'tenants', weights[position]) then
      total = total + weight - 1
    end
  end
  if not redis.call('ZSCORE', prefix .. 'tenants', job.tenant) then
    total = total + own
  end
  return own / total
end

local counts = counts_of(job.tenant)
local fifo = fifo_key(fifo_name(job.tenant, job.priority, job.class, job.lane))
return cjson.encode({
  id = job.id,
  state = job.state,
  leased = job.leased > 0,
  worker = job.worker,
  lane = job.lane,
  holds = encode_list(holds),
  ahead = waits and redis.call('ZCOUNT', fifo, '-inf', '(' .. string.format('%.17g', job.sequence)) or 0,
  waiting = counts[1] + counts[2] + counts[3],
  lanes = redis.call('ZCARD', turns_key(job.tenant, job.priority)),
  tenants = redis.call('ZCARD', prefix .. 'tenants'),
  share = share(),
  drain_rate = drain_rate(),
  now = now,
})
