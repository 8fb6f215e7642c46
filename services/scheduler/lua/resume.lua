-- Takes a pause back.
--
-- ARGV: the tenant, empty for all; the lane, empty for all of the tenant's.

local tenant, lane = ARGV[1], ARGV[2]
redis.call('HDEL', prefix .. 'pauses', lane ~= '' and tenant .. ':' .. lane or tenant)
let_in(tenant, lane)
return 1
