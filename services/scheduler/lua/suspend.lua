-- Holds a tenant's jobs back because it is suspended: no lease is given to it until it is reinstated.
--
-- ARGV: the tenant; the revision of this word about it; why; since when (ms).

local tenant = ARGV[1]
if is_news(tenant, tonumber(ARGV[2])) then
  redis.call('HSET', prefix .. 'suspended', tenant, cjson.encode({ reason = ARGV[3], at = tonumber(ARGV[4]) }))
end
return 1
