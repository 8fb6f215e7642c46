-- The rings: which job goes next.
--
--   fifo:<tenant>:<priority>:<class>:<lane>  the jobs that may be leased, by their sequence in JOBS
--   ring:<class>                   tenants with FIFOs of that class, by start tag; it is the same in all classes
--   idle                           start tags of tenants that are in no ring, as long as they lie ahead of the virtual time
--   virtual-time                   the start tag of the tenant that was served last
--   grants                         by tenant with jobs that wait: how many leases it was given
--   weights                        by tenant, where it is not 1 (a setting)
--   lanes:<tenant>:<priority>:<class>  its lanes with such a FIFO, by turn
--   turns:<tenant>:<priority>      its lanes with any FIFO of that priority, parked ones included, by turn
--   heads:<tenant>:<class>         its FIFOs (`<priority>:<lane>`) by how long their first job is ready
--   parked                         FIFOs without room, by when to look again; they are in none of the rings above
--   pauses                         by `<tenant>:<lane>`, `<tenant>`, or '' for all: why, and since when
--
-- A FIFO goes by the sequence in JOBS: the order of acceptance, which neither a redelivery nor a lost lease nor a rebuilt
-- Redis changes.

local CLASSES = { 'read', 'write', 'upload' }
local LAST_PRIORITY = 3 -- high 1, normal 2, low 3

local function fifo_name(tenant, priority, class, lane)
  return tenant .. ':' .. priority .. ':' .. class .. ':' .. lane
end

local function fifo_key(name)
  return prefix .. 'fifo:' .. name
end

local function ring_key(class)
  return prefix .. 'ring:' .. class
end

local function lanes_key(tenant, priority, class)
  return prefix .. 'lanes:' .. tenant .. ':' .. priority .. ':' .. class
end

local function turns_key(tenant, priority)
  return prefix .. 'turns:' .. tenant .. ':' .. priority
end

local function heads_key(tenant, class)
  return prefix .. 'heads:' .. tenant .. ':' .. class
end

local function next_turn()
  return redis.call('INCR', prefix .. 'turn')
end

local function virtual_time()
  return tonumber(redis.call('GET', prefix .. 'virtual-time') or 0)
end

local function tag_of(tenant)
  for _, class in ipairs(CLASSES) do
    local tag = redis.call('ZSCORE', ring_key(class), tenant)
    if tag then
      return tag
    end
  end
end

-- Start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queuing", SIGCOMM 1996): who comes back goes on where it
-- stopped, or now; time without work is not saved up.
local function activate(tenant, class)
  if redis.call('ZSCORE', ring_key(class), tenant) then
    return
  end
  local tag = tag_of(tenant)
  if not tag then
    tag = math.max(tonumber(redis.call('ZSCORE', prefix .. 'idle', tenant) or 0), virtual_time())
    redis.call('ZREM', prefix .. 'idle', tenant)
  end
  redis.call('ZADD', ring_key(class), tag, tenant)
end

local function deactivate(tenant, class)
  local tag = redis.call('ZSCORE', ring_key(class), tenant)
  if tag then
    redis.call('ZREM', ring_key(class), tenant)
    if not tag_of(tenant) then
      redis.call('ZADD', prefix .. 'idle', tag, tenant)
    end
  end
end

-- Takes a tenant into the rings of all classes in which it has FIFOs.
local function activate_all(tenant)
  for _, class in ipairs(CLASSES) do
    if redis.call('EXISTS', heads_key(tenant, class)) == 1 then
      activate(tenant, class)
    end
  end
end

-- Puts a FIFO into the rings. Its lane keeps its turn for as long as it has jobs of that priority.
local function show(tenant, priority, class, lane, ready)
  redis.call('ZADD', heads_key(tenant, class), ready, priority .. ':' .. lane)
  local turn = redis.call('ZSCORE', turns_key(tenant, priority), lane)
  if not turn then
    turn = next_turn()
    redis.call('ZADD', turns_key(tenant, priority), turn, lane)
  end
  redis.call('ZADD', lanes_key(tenant, priority, class), turn, lane)
  activate(tenant, class)
end

-- Takes a FIFO out of the rings.
local function hide(tenant, priority, class, lane)
  redis.call('ZREM', heads_key(tenant, class), priority .. ':' .. lane)
  redis.call('ZREM', lanes_key(tenant, priority, class), lane)
  if redis.call('EXISTS', heads_key(tenant, class)) == 0 then
    deactivate(tenant, class)
  end
end

-- Puts a job where leases find it.
local function line_up(job)
  local name = fifo_name(job.tenant, job.priority, job.class, job.lane)
  redis.call('ZADD', fifo_key(name), job.sequence, job.id)
  if redis.call('ZRANGE', fifo_key(name), 0, 0)[1] ~= job.id then
    return -- others stand before it, so the FIFO is in its rings, or parked
  end
  if not redis.call('ZSCORE', prefix .. 'parked', name) then
    show(job.tenant, job.priority, job.class, job.lane, job.ready)
  end
end

-- Takes a job out of its FIFO, and what has run empty by it out of its ring.
local function step_out(job)
  local name = fifo_name(job.tenant, job.priority, job.class, job.lane)
  redis.call('ZREM', fifo_key(name), job.id)
  local head = redis.call('ZRANGE', fifo_key(name), 0, 0)[1]
  if head then -- of a parked one the ring of heads has no entry, and gets none
    redis.call('ZADD', heads_key(job.tenant, job.class), 'XX', load(head).ready, job.priority .. ':' .. job.lane)
    return
  end
  redis.call('ZREM', prefix .. 'parked', name)
  hide(job.tenant, job.priority, job.class, job.lane)
  for _, class in ipairs(CLASSES) do
    if class ~= job.class and redis.call('EXISTS', fifo_key(fifo_name(job.tenant, job.priority, class, job.lane))) == 1 then
      return
    end
  end
  redis.call('ZREM', turns_key(job.tenant, job.priority), job.lane)
end

-- Takes the job's FIFO out of the rings until the time; NEVER: until something wakes its lane.
local function park(job, time)
  hide(job.tenant, job.priority, job.class, job.lane)
  local name = fifo_name(job.tenant, job.priority, job.class, job.lane)
  redis.call('ZADD', prefix .. 'parked', time == NEVER and '+inf' or time, name)
  lane_scope(job.tenant, job.lane).parked = true
end

-- Brings a parked FIFO back.
local function wake(name)
  redis.call('ZREM', prefix .. 'parked', name)
  local head = redis.call('ZRANGE', fifo_key(name), 0, 0)[1]
  local tenant, priority, class, lane = string.match(name, '^([^:]*):(%d):(%a+):(.*)$')
  show(tenant, tonumber(priority), class, lane, load(head).ready)
end

-- Brings back what is parked of a lane; answers whether there was any.
local function wake_lane(tenant, lane)
  local names = {}
  for priority = 1, LAST_PRIORITY do
    for _, class in ipairs(CLASSES) do
      names[#names + 1] = fifo_name(tenant, priority, class, lane)
    end
  end
  local woken = false
  for position, time in ipairs(redis.call('ZMSCORE', prefix .. 'parked', unpack(names))) do
    if time then
      wake(names[position])
      woken = true
    end
  end
  return woken
end

-- Gives what was held back its turn again: a lane, or all of a tenant's.
local function let_in(tenant, lane)
  if lane ~= '' then
    wake_lane(tenant, lane)
  elseif tenant ~= '' then
    activate_all(tenant)
  end
end
