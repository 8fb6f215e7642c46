-- Budgets: how many calls may be begun within a span of time, and how many may be under way, per scope.
--
--   rules                      what is set: limits and the breakers' policy, with a version that grows when they change
--   scope:upstream             what is used, and the breaker: of all calls to the upstream
--   scope:lane:<tenant>:<lane> the same of one lane
--
-- A scope's record holds, by class and for all classes ('-'): how many leases are out, when calls were begun, and what the upstream
-- itself has said is left. A script reads a record once and writes it once.

local SUBWINDOWS = 64 -- of a rate's window; the oldest counts whole, so that the rate is never exceeded
local COARSE_SUBWINDOWS = 8 -- of a window that nothing depends on to the call
local NEVER = math.huge
local MAX_RESET_MS = 24 * 3600 * 1000
local SAME_RESET_MS = 1000 -- two words of the upstream about one quota differ by no more than this
local KEPT_MS = 3600 * 1000 -- a record is kept so much longer than anything in it counts, and each call at least so long
local ALL = '-'

local rules
local function set_rules()
  if not rules then
    local packed = redis.call('GET', prefix .. 'rules')
    rules = packed and cmsgpack.unpack(packed) or { limits = {} }
    rules.version = rules.version or 0
  end
  return rules
end

local scopes = {} -- by key

local function scope(key)
  local found = scopes[key]
  if not found then
    local packed = redis.call('GET', prefix .. 'scope:' .. key)
    found = packed and cmsgpack.unpack(packed) or { uses = {} }
    scopes[key] = found
  end
  return found
end

local function upstream_scope()
  return scope('upstream')
end

local function lane_scope(tenant, lane)
  return scope('lane:' .. tenant .. ':' .. lane)
end

local function use_of(record, class)
  local use = record.uses[class]
  if not use then
    use = { running = 0, begun = {} }
    record.uses[class] = use
  end
  return use
end

-- A history is a flat list: the end of a sub-window, how many calls it has, and so on, the oldest first.

local function counted(history, window)
  local calls = 0
  for position = 1, #history, 2 do
    if history[position] + window > now then
      calls = calls + history[position + 1]
    end
  end
  return calls
end

-- When there is room for one more call: 0 for now.
local function room_at(history, rate)
  local calls = counted(history, rate.window)
  if calls < rate.calls then
    return 0
  end
  for position = 1, #history, 2 do
    if history[position] + rate.window > now then
      calls = calls - history[position + 1]
      if calls < rate.calls then
        return history[position] + rate.window
      end
    end
  end
end

-- When the sub-window ends in which that time lies.
local function subwindow_end(window, subwindows, time)
  local width = math.ceil(window / subwindows)
  return (math.floor(time / width) + 1) * width
end

-- Notes one more call, or several, in a history of so many sub-windows.
local function note(history, window, subwindows, calls)
  local ends = subwindow_end(window, subwindows, now)
  while #history > 0 and history[1] + window <= now do
    table.remove(history, 1)
    table.remove(history, 1)
  end
  local last = #history
  if last > 0 and history[last - 1] >= ends then -- greater where a longer window was set before
    history[last] = history[last] + calls
    return
  end
  history[#history + 1] = ends
  history[#history + 1] = calls
end

-- Takes a call out of a history again that was noted at the time, if it counts still. It stands in its own sub-window or in a
-- later one; one call less in the first of these leaves every other call counted for at least as long as before.
local function strike(history, window, subwindows, noted_at)
  local ends = subwindow_end(window, subwindows, noted_at)
  if ends + window <= now then
    return
  end
  local position = #history - 1 -- a lease that ends is mostly a recent one
  while position > 2 and history[position - 2] >= ends do
    position = position - 2
  end
  if position > 0 and history[position] >= ends then
    history[position + 1] = history[position + 1] - 1
    if history[position + 1] == 0 then
      table.remove(history, position)
      table.remove(history, position)
    end
  end
end

-- When calls were begun, by a rate's window. A window that is new goes on with what is known of the next longer one, or else of
-- the longest there is. Each of these calls counts for all of the new window, or for as long as it is surely kept: the time
-- that is told for when there is room must not come nearer while nothing happens, for nobody would ask then.
local function history_of(use, window)
  if use.begun[window] then
    return use.begun[window]
  end
  local other
  for each in pairs(use.begun) do
    if not other or (other < window and each > other) or (each > window and each < other) then
      other = each
    end
  end
  local history = {}
  local too_long = math.max(0, window - math.max(other or 0, KEPT_MS))
  for position = 1, other and #use.begun[other] or 0, 2 do
    history[#history + 1] = use.begun[other][position] - too_long
    history[#history + 1] = use.begun[other][position + 1]
  end
  return history
end

local function quota_of(use)
  return use.reset and use.reset > now and use or nil
end

-- When a budget has room, and what it lacks; `tell` is called for each thing that it lacks.
local function budget_room(use, budget, tell)
  local at = 0
  if budget then
    for _, rate in ipairs(budget.rates) do
      local free_at = room_at(history_of(use, rate.window), rate)
      if free_at > 0 and tell then
        tell('rate', free_at, rate.calls, rate.window)
      end
      at = math.max(at, free_at)
    end
    if budget.concurrency > 0 and use.running >= budget.concurrency then
      at = NEVER -- until a lease ends
      if tell then
        tell('concurrency', 0, budget.concurrency, 0)
      end
    end
  end
  if quota_of(use) and use.left <= 0 then
    at = math.max(at, use.reset)
    if tell then
      tell('quota', use.reset, 0, 0)
    end
  end
  return at
end

-- Counts a call in one budget.
local function take_use(use, budget)
  use.running = use.running + 1
  if budget and #budget.rates > 0 then
    local begun = {}
    for _, rate in ipairs(budget.rates) do
      begun[rate.window] = history_of(use, rate.window)
    end
    for window, history in pairs(begun) do -- not before: a new one may go on with what another knows
      note(history, window, SUBWINDOWS, 1)
    end
    use.begun = begun
  end
  if quota_of(use) then
    use.left = use.left - 1
  end
end

-- Gives back what a call that did not go out has taken of a budget's rates, those of the lease's own rules, and of a quota. With a
-- quota that stands now it was taken off at its lease, or as one that was under way when the upstream told of it.
local function give_back_use(use, budget, leased_at)
  for _, rate in ipairs(budget and budget.rates or {}) do
    strike(use.begun[rate.window] or {}, rate.window, SUBWINDOWS, leased_at)
  end
  if quota_of(use) then
    use.left = use.left + 1
  end
end

local function classes_of(budgets, class)
  return budgets and budgets[class]
end

-- The uses and budgets that a call of a class counts in within one scope.
local function each_budget(record, whole, by_class, class, visit)
  visit(use_of(record, ALL), whole, ALL)
  visit(use_of(record, class), classes_of(by_class, class), class)
end

-- What the upstream says is left. Calls that are under way may not be in what it has counted; there may be more of them than are
-- left.
local function learn(use, remaining, reset_after_ms)
  local reset = now + math.min(reset_after_ms, MAX_RESET_MS)
  local left = remaining - use.running
  local standing = quota_of(use)
  if standing and math.abs(standing.reset - reset) <= SAME_RESET_MS then
    left = math.min(left, standing.left)
  end
  use.reset, use.left = reset, left
end

-- How long a record says anything; nil where it says nothing, NEVER while leases are out.
local function says_until(record)
  local latest
  local function at_least(time)
    latest = math.max(latest or 0, time)
  end
  for class, use in pairs(record.uses) do
    local says = false
    if use.running > 0 then
      at_least(NEVER)
      says = true
    end
    for window, history in pairs(use.begun) do
      if #history > 0 and history[#history - 1] + math.max(window, KEPT_MS) > now then
        at_least(history[#history - 1] + window)
        says = true
      end
    end
    if quota_of(use) then
      at_least(use.reset)
      says = true
    end
    if not says then
      record.uses[class] = nil
    end
  end
  if record.breaker then
    at_least(now + (rules and rules.breaker and rules.breaker.max_pause or 0))
    at_least(record.breaker.open_until or 0)
  end
  if record.ended then
    at_least(now)
  end
  return latest
end

local function write_scopes()
  for key, record in pairs(scopes) do
    local latest = says_until(record)
    local name = prefix .. 'scope:' .. key
    if not latest then
      redis.call('DEL', name)
    elseif latest == NEVER then
      redis.call('SET', name, cmsgpack.pack(record))
    else
      redis.call('SET', name, cmsgpack.pack(record), 'PX', math.max(0, latest - now) + KEPT_MS)
    end
  end
end
