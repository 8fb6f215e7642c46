-- Applies outcomes. One under an old fence changes nothing; one that was applied already is answered with the same fact again,
-- for its event may have been lost on the way.
--
-- ARGV: how long a finished job is remembered (ms); the outcomes (JSON list, at most 64).
-- Answers: for each outcome a fact, or the state of the job for which it came too late (0: the job is not known); the breakers
-- that opened by them (JSON list); 1 where somebody who waits for leases may be served now.

local remember_ms = tonumber(ARGV[1])

-- After attempts that do not count: at the first one, doubling with each in a row.
local FIRST_UNCOUNTED_PAUSE_MS, MAX_UNCOUNTED_PAUSE_MS = 500, 30 * 1000

-- The pause before the next attempt: full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS, 2015); the random part
-- comes from the process. What the upstream asked for is the least.
local function pause_ms(job, outcome)
  local ceiling = math.min(job.backoff * 2 ^ (counted_attempts(job) - 1), job.max_backoff)
  return math.max(math.floor(outcome.jitter * ceiling), outcome.retry_after)
end

-- The same after an attempt that does not count: just so long that no job goes round and round. In a lane that is held it waits
-- for that.
local function uncounted_pause_ms(job, outcome)
  if redis.call('HEXISTS', prefix .. 'held', job.tenant .. ':' .. job.lane) == 1 then
    return outcome.retry_after
  end
  local half = math.min(FIRST_UNCOUNTED_PAUSE_MS * 2 ^ (job.in_row - 1), MAX_UNCOUNTED_PAUSE_MS) / 2
  return math.max(half + math.floor(outcome.jitter * half), outcome.retry_after)
end

-- The pause before the next attempt; nil where there is none.
local function next_pause_ms(job, outcome)
  if not outcome.retryable then
    return nil
  elseif outcome.uncounted then
    job.uncounted, job.in_row = job.uncounted + 1, job.in_row + 1
    return uncounted_pause_ms(job, outcome)
  elseif counted_attempts(job) < job.max_attempts then
    job.in_row = 0
    return pause_ms(job, outcome)
  end
end

local opened = {}

local function judge_scope(record, outcome, probed, tenant, lane)
  if judge(record, outcome.health, probed, outcome.jitter) then
    opened[#opened + 1] =
      { tenant = tenant, lane = lane, cause = record.breaker.cause, ['until'] = record.breaker.open_until }
  end
end

-- Until when a quota that is used up holds everything that counts in it; 0 where it holds nothing.
local function held_until(use)
  return quota_of(use) and use.left <= 0 and use.reset or 0
end

-- What the attempt says of the upstream.
local function heed(job, outcome, upstream_probed, lane_probed)
  local upstream, lane = upstream_scope(), lane_scope(job.tenant, job.lane)
  local uses = {
    upstream = use_of(upstream, ALL),
    lane = use_of(lane, ALL),
    lane_class = use_of(lane, job.class),
  }
  local was_held_until = held_until(uses.upstream)
  for _, quota in ipairs(outcome.quotas) do
    learn(uses[quota.scope], quota.remaining, quota.reset_after)
    if uses[quota.scope].left > 0 then -- perhaps sooner than was thought
      room = wake_lane(job.tenant, job.lane) or room
    end
  end
  if held_until(uses.upstream) < was_held_until then -- it held every lane, and does so no longer or not for so long
    room = true
  end
  judge_scope(lane, outcome, lane_probed, job.tenant, job.lane)
  judge_scope(upstream, outcome, upstream_probed, '', '')
end

local function settle_failed(job, outcome, reported)
  local pause = next_pause_ms(job, outcome)
  if pause then
    retry(job, pause)
    job.retried = cjson.encode(fact(job))
    save(job)
    return job.retried
  end
  finish(job, FAILED, remember_ms)
  return reported and cjson.encode(fact(job)) or post(job, outcome.reason) -- which no message brings about again
end

local function settle(job, outcome)
  local reported = outcome.reason == ''
  if outcome.unspent then
    give_back(job)
  end
  if is_over(job) then -- it was canceled while it ran
    give_up_canceled(job)
    return tostring(job.state)
  end
  local upstream_probed, lane_probed = release(job)
  job.settled, job.retried = fence_of(job), ''
  heed(job, outcome, upstream_probed, lane_probed)
  if job.state ~= RUNNING and reported then -- it came to an end before a call went out; that is an attempt all the same
    job.attempt = job.attempt + 1
    job.started = now
  end
  if outcome.succeeded then
    finish(job, SUCCEEDED, remember_ms)
  elseif outcome.unknown and not job.idempotent then
    finish(job, OUTCOME_UNKNOWN, remember_ms)
  else
    return settle_failed(job, outcome, reported)
  end
  return cjson.encode(fact(job))
end

local answers = {}
for position, outcome in ipairs(cjson.decode(ARGV[2])) do
  local job = load(outcome.id)
  if not job then
    answers[position] = '0'
  elseif holds(job, outcome.epoch, outcome.count) then
    answers[position] = settle(job, outcome)
  elseif job.settled ~= string.format('%d.%d', outcome.epoch, outcome.count) then
    answers[position] = tostring(job.state)
  elseif job.retried ~= '' then -- whatever has become of the job since
    answers[position] = job.retried
  else
    answers[position] = cjson.encode(fact(job))
  end
end
write_all()
return { answers, encode_list(opened), room and 1 or 0 }
