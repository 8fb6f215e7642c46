-- Enqueues submitted jobs. A job that is known already is left alone, also when it has ended: the message came again.
--
-- ARGV: how long a finished job is remembered (ms); the jobs (JSON list, at most 64).
-- Answers: how many were new; the facts of those that a mark had canceled already.

local remember_ms = tonumber(ARGV[1])
local jobs = cjson.decode(ARGV[2])

local keys = {}
for position, job in ipairs(jobs) do
  keys[2 * position - 1] = record_key(job.id)
  keys[2 * position] = prefix .. 'cancel:' .. job.tenant .. ':' .. job.id
end
local found = redis.call('MGET', unpack(keys))

local facts, records, fresh, seen = {}, {}, 0, {}
for position, job in ipairs(jobs) do
  local known, canceled_at = found[2 * position - 1], found[2 * position]
  if not known and not seen[job.id] then
    seen[job.id] = true
    fresh = fresh + 1
    job.ready = math.max(now, job.not_before)
    job.state, job.revision, job.attempt = QUEUED, 1, 0
    job.leased, job.epoch, job.count, job.started, job.changed = 0, 0, 0, 0, now
    job.settled, job.retried, job.worker = '', '', ''
    job.uncounted, job.in_row, job.rules = 0, 0, 0
    count_open(job, 1)
    if canceled_at then
      finish(job, CANCELED, remember_ms)
      redis.call('DEL', keys[2 * position])
      facts[#facts + 1] = post(job)
    else
      loaded[job.id] = job
      wait(job)
      records[#records + 1] = keys[2 * position - 1]
      records[#records + 1] = pack_record(job)
    end
  end
end
if #records > 0 then
  redis.call('MSET', unpack(records))
end
write_all()
return { fresh, facts }
