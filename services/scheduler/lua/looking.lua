-- What those scripts share that only look.

local function breaker_view(record)
  local breaker = record.breaker
  if not breaker or breaker.opened == 0 or not has_breaker(record) then
    return nil
  end
  return {
    half_open = now >= breaker.open_until,
    ['until'] = breaker.open_until,
    opened = breaker.opened,
    cause = breaker.cause,
  }
end

-- Jobs of all tenants that ended per second.
local function drain_rate()
  return counted(upstream_scope().ended or {}, DRAIN_WINDOW_MS) / (DRAIN_WINDOW_MS / 1000)
end

local function counts_of(who)
  local counts = redis.call('HMGET', prefix .. 'depth', who .. ':1', who .. ':2', who .. ':3', who .. ':d', who .. ':l')
  for position = 1, 5 do
    counts[position] = tonumber(counts[position] or 0)
  end
  return counts
end
