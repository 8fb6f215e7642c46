-- Shows how a queue stands.
--
-- ARGV: the tenant whose jobs are counted, empty for all; how many lanes at most.
-- Answers: a view (JSON); the pauses (JSON, by what is paused); the suspensions (JSON, by tenant), and those of the lanes shown.

local tenant, lanes_at_most = ARGV[1], tonumber(ARGV[2])
local TENANTS_LOOKED_AT = 10 -- for the deepest lanes of all: those of the tenants with the most jobs that wait

local limits = set_rules().limits

local function budgets_of(name, record, whole, by_class)
  local shown = {}
  local function show_use(class, budget)
    local use = use_of(record, class)
    local used = {}
    for position, rate in ipairs(budget and budget.rates or {}) do
      used[position] = counted(history_of(use, rate.window), rate.window)
    end
    if quota_of(use) or (budget and (#budget.rates > 0 or budget.concurrency > 0)) then
      shown[#shown + 1] = {
        scope = class == ALL and name or name .. ':' .. class,
        rates = encode_list(budget and budget.rates or {}),
        concurrency = budget and budget.concurrency or 0,
        used = encode_list(used),
        running = use.running,
        remaining = quota_of(use) and math.max(0, use.left) or -1,
        reset = quota_of(use) and use.reset or 0,
      }
    end
  end
  show_use(ALL, whole)
  for _, class in ipairs(CLASSES) do
    show_use(class, classes_of(by_class, class))
  end
  return encode_list(shown)
end

local function deepest(whose, count)
  local found = redis.call('ZREVRANGE', prefix .. 'backlog:' .. whose, 0, count - 1, 'WITHSCORES')
  local lanes = {}
  for position = 1, #found, 2 do
    lanes[#lanes + 1] = { tenant = whose, lane = found[position], waiting = tonumber(found[position + 1]) }
  end
  return lanes
end

local function deepest_of_all()
  local lanes = {}
  for _, whose in ipairs(redis.call('ZREVRANGE', prefix .. 'tenants', 0, TENANTS_LOOKED_AT - 1)) do
    for _, lane in ipairs(deepest(whose, lanes_at_most)) do
      lanes[#lanes + 1] = lane
    end
  end
  table.sort(lanes, function(one, other)
    if one.waiting ~= other.waiting then
      return one.waiting > other.waiting
    end
    return one.tenant .. ':' .. one.lane > other.tenant .. ':' .. other.lane
  end)
  return { unpack(lanes, 1, math.min(#lanes, lanes_at_most)) }
end

local lanes = {}
if lanes_at_most > 0 then
  lanes = tenant == '' and deepest_of_all() or deepest(tenant, lanes_at_most)
end
local suspensions = redis.call('HGETALL', prefix .. 'suspended')
for _, lane in ipairs(lanes) do
  local what = lane.tenant .. ':' .. lane.lane
  local held = redis.call('HGET', prefix .. 'held', what)
  if held then
    suspensions[#suspensions + 1] = what
    suspensions[#suspensions + 1] = held
  end
  local record = lane_scope(lane.tenant, lane.lane)
  lane.budgets = budgets_of('lane', record, limits.lane, limits.lane_classes)
  lane.breaker = breaker_view(record)
end

local who = tenant == '' and '*' or tenant
local counts = counts_of(who)
local oldest = redis.call('ZRANGE', prefix .. 'ages:' .. who, 0, 0)[1]
local view = {
  by_priority = { counts[1], counts[2], counts[3] },
  delayed = counts[4],
  leased = counts[5],
  oldest = oldest and tonumber(oldest) * 1000 or 0,
  drain_rate = drain_rate(),
  tenants = redis.call('ZCARD', prefix .. 'tenants'),
  budgets = budgets_of('upstream', upstream_scope(), limits.upstream, limits.classes),
  breaker = breaker_view(upstream_scope()),
  lanes = encode_list(lanes),
}
return { cjson.encode(view), redis.call('HGETALL', prefix .. 'pauses'), suspensions }
