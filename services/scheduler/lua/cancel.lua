-- Cancels a job that waits to be leased, by force also one that runs, or leaves a mark for its enqueue.
--
-- ARGV: the job's id; its tenant; 1 for force; how long the mark stays (ms); how long a finished job is remembered (ms).
-- Answers: what came of it, and the fact or the state where there is one.

local id, tenant, force, mark_ms, remember_ms = ARGV[1], ARGV[2], ARGV[3] == '1', tonumber(ARGV[4]), tonumber(ARGV[5])

-- Ends a job whose call may be under way. It keeps its lease, so that no other call takes its place in a budget, until its
-- attempt comes out or the lease's time is over.
local function cancel_running(job)
  local deadline = tonumber(redis.call('ZSCORE', prefix .. 'leases', id))
  redis.call('ZADD', prefix .. 'canceling', now, id)
  finish(job, CANCELED, remember_ms + math.max(0, deadline - now))
end

local job = load(id)
if not job then
  redis.call('SET', prefix .. 'cancel:' .. tenant .. ':' .. id, 1, 'PX', mark_ms)
  local expected = { -- what its enqueue will say; `submitted` has revision 1
    id = id, tenant = tenant, revision = 2, changed = now, state = CANCELED, attempt = 0, uncounted = 0, started = 0,
    sequence = 0, callback = false, epoch = 0, count = 0, worker = '',
  }
  return { 'marked', cjson.encode(fact(expected)) }
elseif job.tenant ~= tenant then
  return { 'foreign' }
elseif job.state == CANCELED then
  return { 'again', cjson.encode(fact(job)), job.leased > 0 and 1 or 0 }
elseif is_over(job) then
  return { 'finished', tostring(job.state) }
end

local running = job.leased > 0 and (job.state == RUNNING or job.idempotent) -- its `started` may be on its way since it was leased
if running and not force then
  return { 'running' }
elseif running then
  cancel_running(job)
elseif job.leased > 0 then -- its worker has not begun, and will find the lease gone
  release(job)
  finish(job, CANCELED, remember_ms)
else
  withdraw(job)
  finish(job, CANCELED, remember_ms)
end
local posted = post(job)
write_all()
return { running and 'broken off' or 'canceled', posted }
