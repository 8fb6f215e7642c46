-- Cancels a job that waits to be leased, or leaves a mark for its enqueue.
--
-- ARGV: the job's id; its tenant; how long the mark stays (ms); how long a finished job is remembered (ms).
-- Answers: what came of it, and the fact or the state where there is one.

local id, tenant, mark_ms, remember_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local job = load(id)
if not job then
  redis.call('SET', prefix .. 'cancel:' .. tenant .. ':' .. id, 1, 'PX', mark_ms)
  local expected = { -- what its enqueue will say; `submitted` has revision 1
    id = id, tenant = tenant, revision = 2, changed = now, state = CANCELED, attempt = 0, started = 0, sequence = 0,
    callback = false, epoch = 0, count = 0, worker = '',
  }
  return { 'marked', cjson.encode(fact(expected)) }
elseif job.tenant ~= tenant then
  return { 'foreign' }
elseif job.state == CANCELED then
  return { 'again', cjson.encode(fact(job)) }
elseif is_over(job) then
  return { 'finished', tostring(job.state) }
elseif job.leased > 0 and (job.state == RUNNING or job.idempotent) then
  return { 'running' } -- `started` of an idempotent job may be on its way since it was leased
elseif job.leased > 0 then
  redis.call('ZREM', prefix .. 'leases', id) -- its worker has not begun, and will find the lease gone
else
  withdraw(job)
end
finish(job, CANCELED, remember_ms)
return { 'canceled', post(job) }
