-- Holds a tenant's jobs back, or one lane's: no lease is given to it until it is reinstated.
--
-- ARGV: the tenant; the lane, empty for all of the tenant's; the revision of this word about it; why; since when (ms).

local tenant, lane, revision = ARGV[1], ARGV[2], ARGV[3]
if is_news(tenant, lane, tonumber(revision)) then
  local how = cjson.encode({ reason = ARGV[4], at = tonumber(ARGV[5]), revision = revision })
  redis.call('HSET', suspensions_key(lane), name_of(tenant, lane), how)
  redis.call('DEL', lifted_key(tenant, lane))
end
return 1
