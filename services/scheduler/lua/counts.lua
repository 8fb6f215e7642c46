-- What is counted of a queue, for whoever looks at it and for a rebuild. A script adds up what it does, and writes it once.
--
--   depth               by `<tenant>:<what>`, and `*:<what>` for all: jobs that wait, by priority (1, 2, 3); of them those that
--                       may not be leased yet (d); jobs that are leased (l)
--   tenants             tenants with jobs that wait, by how many
--   backlog:<tenant>    its lanes with jobs that wait, by how many
--   ages:<tenant>       the seconds since when jobs may be leased, and how many since each; `*` for all
--   ages:<tenant>:jobs
--   open                blocks of sequences in JOBS in which a job has not ended, and in how many each
--   open:jobs

local SEQUENCES_A_BLOCK = 1024

local changes = {} -- by kind, then by key, then by member

local function add(kind, key, member, amount)
  local keys = changes[kind] or {}
  changes[kind] = keys
  local members = keys[key] or {}
  keys[key] = members
  members[member] = (members[member] or 0) + amount
end

local function count_depth(tenant, what, amount)
  add('hash', 'depth', tenant .. ':' .. what, amount)
  add('hash', 'depth', '*:' .. what, amount)
end

-- One more or one less job of the tenant waits, delayed ones included.
local function count_waiting(job, amount)
  count_depth(job.tenant, job.priority, amount)
  add('ranking', 'tenants', job.tenant, amount)
  add('ranking', 'backlog:' .. job.tenant, job.lane, amount)
end

-- One more or one less of them may be leased now.
local function count_ready(job, amount)
  local second = math.floor(job.ready / 1000)
  add('blocks', 'ages:' .. job.tenant, second, amount)
  add('blocks', 'ages:*', second, amount)
end

local function count_delayed(job, amount)
  count_depth(job.tenant, 'd', amount)
end

local function count_leased(job, amount)
  count_depth(job.tenant, 'l', amount)
end

-- One more or one less job has not ended.
local function count_open(job, amount)
  add('blocks', 'open', math.floor(job.sequence / SEQUENCES_A_BLOCK), amount)
end

local write = {}

function write.hash(key, member, amount)
  if redis.call('HINCRBY', key, member, amount) <= 0 then
    redis.call('HDEL', key, member)
  end
end

function write.ranking(key, member, amount)
  if tonumber(redis.call('ZINCRBY', key, amount, member)) <= 0 then
    redis.call('ZREM', key, member)
    return true
  end
end

-- Numbered blocks, of which the first is asked for.
function write.blocks(key, block, amount)
  local jobs = redis.call('HINCRBY', key .. ':jobs', block, amount)
  if jobs <= 0 then
    redis.call('HDEL', key .. ':jobs', block)
    redis.call('ZREM', key, block)
  elseif jobs == amount then
    redis.call('ZADD', key, block, block)
  end
end

local function write_counts()
  for kind, keys in pairs(changes) do
    for key, members in pairs(keys) do
      for member, amount in pairs(members) do
        if amount ~= 0 and write[kind](prefix .. key, member, amount) and key == 'tenants' then
          redis.call('HDEL', prefix .. 'grants', member) -- nothing waits any more: its turns are counted anew
        end
      end
    end
  end
end
