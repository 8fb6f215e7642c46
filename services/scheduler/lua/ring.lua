-- The rings: which job goes next.
--
--   ring                                   tenants with work, by start tag
--   idle                                   start tags of tenants without work, as long as they lie ahead of the virtual time
--   virtual-time                           the start tag of the tenant that was served last
--   grants                                 by tenant with work: how many leases it was given
--   weights                                by tenant, where it is not 1 (a setting)
--   lanes:<tenant>:<priority>              its lanes with work of that priority, by turn
--   fifo:<tenant>:<priority>:<class>:<lane>   the jobs that may be leased, by their sequence in JOBS
--   heads:<tenant>                         its FIFOs (`<priority>:<class>:<lane>`) by how long their first job is ready
--   delayed                                jobs that may be leased later, by when
--   expiry                                 jobs that wait to be leased, by when they expire
--   leases                                 leased jobs, by the lease's deadline
--
-- A FIFO goes by the sequence in JOBS: the order of acceptance, which neither a redelivery nor a lost lease nor a rebuilt
-- Redis changes.

local CLASSES = { 'read', 'write', 'upload' }
local LAST_PRIORITY = 3 -- high 1, normal 2, low 3

local function next_turn()
  return redis.call('INCR', prefix .. 'turn')
end

local function fifo_name(priority, class, lane)
  return priority .. ':' .. class .. ':' .. lane
end

local function fifo_key(tenant, name)
  return prefix .. 'fifo:' .. tenant .. ':' .. name
end

local function lanes_key(tenant, priority)
  return prefix .. 'lanes:' .. tenant .. ':' .. priority
end

local function virtual_time()
  return tonumber(redis.call('GET', prefix .. 'virtual-time') or 0)
end

-- Start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queuing", SIGCOMM 1996): who comes back goes on where it
-- stopped, or now; time without work is not saved up.
local function activate(tenant)
  if redis.call('ZSCORE', prefix .. 'ring', tenant) then
    return
  end
  local own = tonumber(redis.call('ZSCORE', prefix .. 'idle', tenant) or 0)
  redis.call('ZADD', prefix .. 'ring', math.max(own, virtual_time()), tenant)
  redis.call('ZREM', prefix .. 'idle', tenant)
end

local function deactivate(tenant)
  redis.call('ZADD', prefix .. 'idle', redis.call('ZSCORE', prefix .. 'ring', tenant), tenant)
  redis.call('ZREM', prefix .. 'ring', tenant)
  redis.call('HDEL', prefix .. 'grants', tenant)
end

-- Puts a job where leases find it.
local function line_up(job)
  local name = fifo_name(job.priority, job.class, job.lane)
  local key = fifo_key(job.tenant, name)
  redis.call('ZADD', key, job.sequence, job.id)
  if redis.call('ZRANGE', key, 0, 0)[1] ~= job.id then
    return -- others stand before it, so its lane and its tenant are in their rings
  end
  redis.call('ZADD', prefix .. 'heads:' .. job.tenant, job.ready, name)
  redis.call('ZADD', lanes_key(job.tenant, job.priority), 'NX', next_turn(), job.lane)
  activate(job.tenant)
end

-- Takes a job out of its FIFO, and what has run empty by it out of its ring.
local function step_out(job)
  local name = fifo_name(job.priority, job.class, job.lane)
  local key = fifo_key(job.tenant, name)
  local heads = prefix .. 'heads:' .. job.tenant
  redis.call('ZREM', key, job.id)
  local head = redis.call('ZRANGE', key, 0, 0)[1]
  if head then
    redis.call('ZADD', heads, load(head).ready, name)
    return
  end
  redis.call('ZREM', heads, name)
  local others = {}
  for position, class in ipairs(CLASSES) do
    others[position] = fifo_key(job.tenant, fifo_name(job.priority, class, job.lane))
  end
  if redis.call('EXISTS', unpack(others)) > 0 then
    return
  end
  redis.call('ZREM', lanes_key(job.tenant, job.priority), job.lane)
  if redis.call('EXISTS', heads) == 0 then
    deactivate(job.tenant)
  end
end

-- Takes a job out of wherever it waits.
local function withdraw(job)
  redis.call('ZREM', prefix .. 'expiry', job.id)
  if redis.call('ZREM', prefix .. 'delayed', job.id) == 0 then
    step_out(job)
  end
end

-- Has a job wait to be leased from the time `ready` on.
local function wait(job)
  redis.call('ZADD', prefix .. 'expiry', job.expires, job.id)
  if job.ready > now then
    redis.call('ZADD', prefix .. 'delayed', job.ready, job.id)
  else
    line_up(job)
  end
end

-- Puts the job back for another attempt after the pause; its lease is over.
local function retry(job, pause_ms)
  enter(job, RETRYING)
  job.leased = 0
  job.ready = now + pause_ms
  wait(job)
end
