-- Applies outcomes. One under an old fence changes nothing; one that was applied already is answered with the same fact again,
-- for its event may have been lost on the way.
--
-- ARGV: how long a finished job is remembered (ms); the outcomes (JSON list, at most 64).
-- Answers: for each outcome a fact, or the state of the job for which it came too late (0: the job is not known).

local remember_ms = tonumber(ARGV[1])

-- The pause before the next attempt: full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS, 2015); the random part
-- comes from the process. What the upstream asked for is the least.
local function pause_ms(job, outcome)
  local ceiling = math.min(job.backoff * 2 ^ (job.attempt - 1), job.max_backoff)
  return math.max(math.floor(outcome.jitter * ceiling), outcome.retry_after)
end

local function settle(job, outcome)
  local reported = outcome.reason == ''
  if job.state ~= RUNNING and reported then -- it came to an end before a call went out; that is an attempt all the same
    job.attempt = job.attempt + 1
    job.started = now
  end
  job.settled, job.retried = fence_of(job), ''
  redis.call('ZREM', prefix .. 'leases', job.id)
  if outcome.succeeded then
    finish(job, SUCCEEDED, remember_ms)
  elseif outcome.unknown and not job.idempotent then
    finish(job, OUTCOME_UNKNOWN, remember_ms)
  elseif outcome.retryable and job.attempt < job.max_attempts then
    retry(job, pause_ms(job, outcome))
    job.retried = cjson.encode(fact(job))
    save(job)
    return job.retried
  else
    finish(job, FAILED, remember_ms)
    if not reported then -- no message brings it about again
      return post(job, outcome.reason)
    end
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
return answers
