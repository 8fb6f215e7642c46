-- Takes back lost leases, ends expired jobs, and finds facts whose events were not published.
--
-- ARGV: how many jobs at most (64); how long a finished job is remembered (ms); how long a fact is left to whoever made it
-- (ms).
-- Answers: what it did; what others have left unpublished; how many leases it took back; 1 where there is more to do;
-- how many jobs may be leased now, may be leased later, and are leased; jobs that were canceled while they ran and whose
-- attempts have not come out; 1 where somebody who waits for leases may be served now; the sequence below which every job has
-- ended (0: all have).

local limit, remember_ms, outbox_delay_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local function due(name, time, count)
  return redis.call('ZRANGEBYSCORE', prefix .. name, '-inf', time, 'LIMIT', 0, count)
end

-- What has become of a job whose lease ran out; answers with the fact, if there is one.
local function take_back(job)
  if is_over(job) then -- canceled while it ran
    give_up_canceled(job)
    return nil
  end
  release(job)
  if job.state ~= RUNNING then -- no call went out: as if it had not been leased, under the next fence
    wait(job)
    save(job)
    return nil
  elseif not job.idempotent then
    finish(job, OUTCOME_UNKNOWN, remember_ms)
    return post(job, 'OUTCOME_UNKNOWN')
  elseif counted_attempts(job) < job.max_attempts then
    job.in_row = 0
    retry(job, 0) -- the worker failed and not the upstream: nothing is spared by a pause
    save(job)
  else
    finish(job, FAILED, remember_ms)
  end
  return post(job, 'ATTEMPT_LOST')
end

local unpublished = due('outbox', now - outbox_delay_ms, limit)
local lost = due('leases', now, limit)
local facts = {}
for _, id in ipairs(lost) do
  facts[#facts + 1] = take_back(load(id))
end
local expired = due('expiry', now, limit - #lost)
for _, id in ipairs(expired) do
  local job = load(id)
  withdraw(job)
  finish(job, EXPIRED, remember_ms)
  facts[#facts + 1] = post(job)
end
write_all()

local waiting, delayed = redis.call('ZCARD', prefix .. 'expiry'), redis.call('ZCARD', prefix .. 'delayed')
local depth = { waiting - delayed, delayed, redis.call('ZCARD', prefix .. 'leases') }
local canceling = redis.call('ZRANGE', prefix .. 'canceling', 0, limit - 1)
local oldest = redis.call('ZRANGE', prefix .. 'open', 0, 0)[1]
local ended_below = oldest and tonumber(oldest) * SEQUENCES_A_BLOCK or 0
return {
  facts,
  unpublished,
  #lost,
  #lost + #expired == limit and 1 or 0,
  depth,
  canceling,
  room and 1 or 0,
  oldest and math.max(1, ended_below) or 0,
}
