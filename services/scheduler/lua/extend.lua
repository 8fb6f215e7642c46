-- Moves the deadlines of leases whose attempts are still at work.
--
-- ARGV: the margin beyond an attempt's timeout (ms); the leases (JSON list of [id, epoch, count], at most 64).
-- Answers: the ids of the jobs whose leases are gone.

local margin_ms = tonumber(ARGV[1])

local lost, kept = {}, {}
for _, lease in ipairs(cjson.decode(ARGV[2])) do
  local job = load(lease[1])
  if holds(job, lease[2], lease[3]) then
    if not is_over(job) then -- canceled while it ran: its worker learns that by a signal, and reports
      kept[#kept + 1] = now + job.timeout + margin_ms
      kept[#kept + 1] = job.id
    end
  else
    lost[#lost + 1] = lease[1]
  end
end
if #kept > 0 then
  redis.call('ZADD', prefix .. 'leases', unpack(kept))
end
return lost
