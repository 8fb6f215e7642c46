-- Notes how many unfinished jobs tenants have, and how many jobs have ended; tells how many all have.
--
-- KEYS  1 the counts by tenant, 2 their sum, 3 the drain of all
-- ARGV  1 jobs that have ended, then a tenant and its count, as often as there are tenants to note
-- Answers {unfinished jobs of all, drain}.

local counts, sum, drained = KEYS[1], KEYS[2], KEYS[3]
local now = read_clock()
local unfinished = note_counts(counts, sum, 2)
if tonumber(ARGV[1]) > 0 then
    note_ends(drained, tonumber(ARGV[1]), now)
end
return {unfinished, read_ends(drained, now)}
