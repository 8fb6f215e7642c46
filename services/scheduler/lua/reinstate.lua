-- Takes a suspension back; what is paused stays so.
--
-- ARGV: the tenant; the lane, empty for all of the tenant's; the revision of this word about it; how long the word is remembered
-- (ms).

local tenant, lane, revision = ARGV[1], ARGV[2], ARGV[3]
if is_news(tenant, lane, tonumber(revision)) then
  redis.call('SET', lifted_key(tenant, lane), revision, 'PX', ARGV[4])
  if redis.call('HDEL', suspensions_key(lane), name_of(tenant, lane)) == 1 then
    let_in(tenant, lane)
  end
end
return 1
