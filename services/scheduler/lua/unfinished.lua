-- Finds a tenant's jobs that have not ended, or those of one of its lanes, a part of the queue at a time.
--
-- ARGV: the tenant; the lane, empty for all of the tenant's; the part: 'lines', or else 'delayed' or 'leases', which are of all
-- tenants and are walked; from which place of that on; how many are looked at.
-- Answers: the jobs' ids; where the walk goes on, -1 for nowhere; how many jobs have ended and still hold a lease.

local tenant, wanted, part, from, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local found, breaking_off = {}, 0

local function look_at(ids)
  for _, id in ipairs(ids) do
    local job = load(id)
    if job and job.tenant == tenant and (wanted == '' or job.lane == wanted) then
      if is_over(job) then
        breaking_off = breaking_off + 1
      else
        found[#found + 1] = id
      end
    end
  end
end

-- Every lane with jobs in line has its turn there, whatever holds it back.
local function look_at_lines()
  for priority = 1, LAST_PRIORITY do
    local lanes = wanted ~= '' and { wanted } or redis.call('ZRANGE', turns_key(tenant, priority), 0, most - 1)
    for _, lane in ipairs(lanes) do
      for _, class in ipairs(CLASSES) do
        if #found >= most then
          return
        end
        look_at(redis.call('ZRANGE', fifo_key(fifo_name(tenant, priority, class, lane)), 0, most - 1 - #found))
      end
    end
  end
end

local goes_on = -1
if part == 'lines' then
  look_at_lines()
  goes_on = #found > 0 and 0 or -1
else
  local ids = redis.call('ZRANGE', prefix .. part, from, from + most - 1)
  look_at(ids)
  goes_on = #ids == most and from + most or -1
end
return { found, goes_on, breaking_off }
