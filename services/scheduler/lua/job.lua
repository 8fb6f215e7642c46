-- A job's record, what is remembered of it after its end, and the facts about it.
--
-- Keys: one prefix, `{sched:<upstream>}:`, is given as KEYS[1], and every key is built from it. A ring or a record is named by
-- what another key holds, so the keys cannot be listed beforehand; the hash tag keeps all of them in one slot (Redis Cluster).

local prefix = KEYS[1]
local now = read_clock()

-- As `penstock.jobs.v1.Job.State` numbers them. A leased job keeps its state until its attempt is begun.
local QUEUED, RUNNING, RETRYING, SUCCEEDED, FAILED, OUTCOME_UNKNOWN, CANCELED, EXPIRED = 1, 2, 3, 4, 5, 6, 7, 8

-- The record is packed by position, for there may be a million of them. A field is only ever added at the end.
--   ready            since when, or from when, the job may be leased
--   leased           when the newest lease was given; 0 while there is none
--   epoch, count     the fence of the newest lease
--   changed          when the job's state changed last
--   settled, retried the fence under which an outcome was applied last, and the fact that it came to if that was a retry
--   uncounted, in_row of its attempts, those that do not count, and how many of them were the last in a row
--   rules            the version of the rules under which the newest lease was given
local FIELDS = {
  'tenant', 'lane', 'priority', 'class', 'idempotent', 'sequence', 'ready', 'expires', 'max_attempts', 'backoff',
  'max_backoff', 'timeout', 'callback', 'state', 'revision', 'attempt', 'leased', 'epoch', 'count', 'started',
  'changed', 'settled', 'retried', 'worker', 'uncounted', 'in_row', 'rules',
}

local loaded = {} -- by id: within one script a job is read once

local function record_key(id)
  return prefix .. 'job:' .. id
end

local function unpack_record(id, packed)
  local values = cmsgpack.unpack(packed)
  local job = { id = id }
  for position, name in ipairs(FIELDS) do
    local value = values[position]
    job[name] = value == nil and 0 or value -- it was packed before there was the field
  end
  loaded[id] = job
  return job
end

local function load(id)
  if loaded[id] then
    return loaded[id]
  end
  local packed = redis.call('GET', record_key(id))
  return packed and unpack_record(id, packed)
end

local function pack_record(job)
  local values = {}
  for position, name in ipairs(FIELDS) do
    values[position] = job[name]
  end
  return cmsgpack.pack(values)
end

local function save(job)
  redis.call('SET', record_key(job.id), pack_record(job))
end

local function is_over(job)
  return job.state >= SUCCEEDED
end

-- The attempts that count against the most that it may have.
local function counted_attempts(job)
  return job.attempt - job.uncounted
end

local function fence_of(job)
  return string.format('%d.%d', job.epoch, job.count)
end

-- Whether the lease under this fence is the one that is out. A job that was canceled while it ran has ended, and has it still.
local function holds(job, epoch, count)
  return job and job.leased > 0 and job.epoch == epoch and job.count == count
end

-- What has happened to the job, as the process makes an event of it.
local function fact(job, reason)
  return {
    id = job.id,
    tenant = job.tenant,
    revision = job.revision,
    time = job.changed,
    state = job.state,
    attempt = job.attempt,
    uncounted = job.uncounted,
    started = job.started,
    not_before = job.state == RETRYING and job.ready or 0,
    finished = is_over(job) and job.changed or 0,
    reason = reason or '',
    sequence = job.sequence,
    callback = job.callback,
    epoch = job.epoch,
    count = job.count,
    worker = job.worker,
  }
end

-- A fact that no message would bring about again is kept here until its event is on disk.
local function post(job, reason)
  local text = cjson.encode(fact(job, reason))
  redis.call('ZADD', prefix .. 'outbox', now, text)
  return text
end

-- The job's state from now on; a fact about it has to follow.
local function enter(job, state)
  job.state = state
  job.revision = job.revision + 1
  job.changed = now
end

-- cjson makes an object of a table without entries.
local function encode_list(list)
  return #list > 0 and cjson.encode(list) or '[]'
end
