-- Marks attempts as begun, where their leases are still out; again under the same fence says the same again.
--
-- ARGV: the margin beyond an attempt's timeout (ms); the leases (JSON list of [id, epoch, count], at most 64).
-- Answers: for each lease the fact that its attempt was begun with the lease's deadline (JSON list), or false where it is gone.

local margin_ms = tonumber(ARGV[1])

local begun = {}
for position, lease in ipairs(cjson.decode(ARGV[2])) do
  local job = load(lease[1])
  begun[position] = false
  if not holds(job, lease[2], lease[3]) then
    -- it ran out, or another one was given
  elseif is_over(job) then -- canceled since it was leased: no call goes out
    give_up_canceled(job)
  else
    local deadline = now + job.timeout + margin_ms
    if job.state ~= RUNNING then
      -- the revision was taken with the lease; `started` of an idempotent job tells the time of its lease
      job.state = RUNNING
      job.changed = job.idempotent and job.leased or now
      job.started = job.changed
      job.attempt = job.attempt + 1
      save(job)
    end
    redis.call('ZADD', prefix .. 'leases', deadline, job.id)
    begun[position] = fact(job)
    begun[position].deadline = deadline
  end
end
write_all()
return encode_list(begun)
