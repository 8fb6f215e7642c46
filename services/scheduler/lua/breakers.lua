-- Breakers: one for each lane, and one for the upstream where the policy says so. Each stands in its scope's record.
--
--   opened       how often in a row it has opened; 0: it is closed
--   open_until   then one lease may go as a probe
--   probe        the lease that went
--   throttles    throttled answers in a row
--   calls, fails histories of the calls that came out, and of those that failed
--   cause        why it opened last

local NOTHING, HEALTHY, FAILING, THROTTLED = 0, 1, 2, 3 -- as `penstock.events.v1.Attempt.Health` numbers them

local function lease_name(job)
  return job.id .. ' ' .. fence_of(job)
end

local function has_breaker(record)
  local policy = set_rules().breaker
  return policy and (record ~= upstream_scope() or policy.upstream)
end

-- When a call may go out: 0 for now, NEVER until the probe has come out.
local function breaker_room(record)
  local breaker = record.breaker
  if not breaker or breaker.opened == 0 or not has_breaker(record) then
    return 0
  elseif now < breaker.open_until then
    return breaker.open_until
  end
  return breaker.probe == '' and 0 or NEVER
end

local function note_probe(record, job)
  if record.breaker and record.breaker.opened > 0 and has_breaker(record) then
    record.breaker.probe = lease_name(job)
  end
end

-- Whether the lease that ends is the probe; another may go then.
local function end_probe(record, job)
  local breaker = record.breaker
  if breaker and breaker.probe ~= '' and breaker.probe == lease_name(job) then
    breaker.probe = ''
    return true
  end
  return false
end

local function open_breaker(breaker, cause, policy, jitter)
  breaker.opened = breaker.opened + 1
  breaker.cause = cause
  local base = math.min(cause == 'throttled' and policy.throttle_pause or policy.failure_pause, policy.max_pause)
  local ceiling = math.min(policy.max_pause, base * 2 ^ (breaker.opened - 1))
  breaker.open_until = now + base + math.floor(jitter * (ceiling - base))
  breaker.throttles, breaker.calls, breaker.fails = 0, {}, {}
end

-- Has the breaker judge how a call came out; answers whether it opens by that.
local function judge(record, health, probed, jitter)
  local policy = set_rules().breaker
  if health == NOTHING or not has_breaker(record) then
    return false
  end
  local breaker = record.breaker
  if breaker and breaker.opened > 0 then
    if not probed then
      return false
    elseif health == HEALTHY then
      record.breaker = nil
      return false
    end
    open_breaker(breaker, health == THROTTLED and 'throttled' or 'failing', policy, jitter)
    return true
  end
  if not breaker then
    breaker = { opened = 0, open_until = 0, probe = '', throttles = 0, calls = {}, fails = {}, cause = '' }
    record.breaker = breaker
  end
  note(breaker.calls, policy.window, COARSE_SUBWINDOWS, 1)
  if health == THROTTLED then
    breaker.throttles = breaker.throttles + 1
    if breaker.throttles >= policy.throttles then
      open_breaker(breaker, 'throttled', policy, jitter)
    end
  else
    breaker.throttles = 0
    if health == FAILING then
      note(breaker.fails, policy.window, COARSE_SUBWINDOWS, 1)
      local calls = counted(breaker.calls, policy.window)
      if calls >= policy.min_calls and counted(breaker.fails, policy.window) >= policy.failure_ratio * calls then
        open_breaker(breaker, 'failing', policy, jitter)
      end
    end
  end
  return breaker.opened > 0
end
