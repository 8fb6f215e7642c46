-- Pauses what is named: no lease is given to it until it is resumed.
--
-- ARGV: the tenant, empty for all; the lane, empty for all of the tenant's; why; since when (ms), 0 for now.

local what = ARGV[2] ~= '' and ARGV[1] .. ':' .. ARGV[2] or ARGV[1]
redis.call('HSET', prefix .. 'pauses', what, cjson.encode({ reason = ARGV[3], at = tonumber(ARGV[4]) > 0 and tonumber(ARGV[4]) or now }))
return 1
